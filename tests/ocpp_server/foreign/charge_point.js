// A charge point made with ocpp-rpc, which checks every message of both sides against the official schemas.
// Takes one JSON argument; charges once, prints what it was asked and what was wrong, and exits with 0.
const fs = require('node:fs');
const { RPCClient } = require('ocpp-rpc');

const options = JSON.parse(process.argv[2]);
const WAIT_MS = 10000;
const file = (name) => (options[name] ? fs.readFileSync(options[name]) : undefined);
const now = () => new Date().toISOString();

const asked = [];
const violations = [];
let permitted;
const permit = new Promise((resolve) => (permitted = resolve));

const answers = {
  GetConfiguration: () => ({
    configurationKey: [
      { key: 'MeterValuesSampledData', readonly: false, value: '' },
      { key: 'MeterValueSampleInterval', readonly: false, value: '300' },
    ],
    unknownKey: [],
  }),
  GetVariables: ({ getVariableData }) => ({
    getVariableResult: getVariableData.map(({ component, variable }) => ({
      attributeStatus: 'UnknownVariable', component, variable,
    })),
  }),
  SetVariables: ({ setVariableData }) => ({
    setVariableResult: setVariableData.map(({ component, variable }) => ({
      attributeStatus: 'UnknownVariable', component, variable,
    })),
  }),
  GetCompositeSchedule: () => ({ status: 'Rejected' }),
};

function answer({ method, params }) {
  asked.push([method, params]);
  const profile = params.csChargingProfiles ?? params.chargingProfile;
  if (profile?.chargingProfilePurpose === 'TxProfile') permitted(profile);
  return (answers[method] ?? (() => ({ status: 'Accepted' })))(params);
}

function chargingIn16(client) {
  const samples = (wh) => [{
    timestamp: now(),
    sampledValue: [
      { value: String(wh) },
      { value: '9.8', measurand: 'Current.Import', phase: 'L1', unit: 'A' },
    ],
  }];
  const status = (word) => client.call('StatusNotification', {
    connectorId: 1, errorCode: 'NoError', status: word, timestamp: now(),
  });
  return {
    boot: () => client.call('BootNotification', { chargePointVendor: 'Foreign', chargePointModel: 'JS' }),
    begin: async () => {
      await status('Available');
      await status('Preparing');
      const { idTagInfo } = await client.call('Authorize', { idTag: 'CARD' });
      const started = await client.call('StartTransaction', {
        connectorId: 1, idTag: 'CARD', meterStart: 1000, timestamp: now(),
      });
      await status('Charging');
      return [idTagInfo.status, started];
    },
    meter: ({ transactionId }) => client.call('MeterValues', { connectorId: 1, transactionId, meterValue: samples(1500) }),
    end: async ({ transactionId }) => {
      await client.call('StopTransaction', {
        transactionId, meterStop: 2000, timestamp: now(), reason: 'Local', transactionData: samples(2000),
      });
      await status('Available');
      await client.call('FirmwareStatusNotification', { status: 'Idle' });
      await client.call('DiagnosticsStatusNotification', { status: 'Idle' });
    },
  };
}

function chargingIn201(client) {
  let seqNo = 0;
  const event = (eventType, triggerReason, chargingState, wh, more = {}) => client.call('TransactionEvent', {
    eventType,
    timestamp: now(),
    triggerReason,
    seqNo: seqNo++,
    transactionInfo: { transactionId: 'foreign-1', chargingState },
    evse: { id: 1, connectorId: 1 },
    meterValue: [{
      timestamp: now(),
      sampledValue: [
        { value: wh, measurand: 'Energy.Active.Import.Register' },
        { value: 9.8, measurand: 'Current.Import', phase: 'L1', unitOfMeasure: { unit: 'A' } },
      ],
    }],
    ...more,
  });
  const status = (connectorStatus) => client.call('StatusNotification', {
    timestamp: now(), connectorStatus, evseId: 1, connectorId: 1,
  });
  const idToken = { idToken: 'CARD', type: 'ISO14443' };
  return {
    boot: () => client.call('BootNotification', {
      reason: 'PowerUp', chargingStation: { vendorName: 'Foreign', model: 'JS' },
    }),
    begin: async () => {
      await status('Available');
      await status('Occupied');
      const { idTokenInfo } = await client.call('Authorize', { idToken });
      const started = await event('Started', 'Authorized', 'EVConnected', 1000, { idToken });
      await event('Updated', 'ChargingStateChanged', 'Charging', 1000);
      return [idTokenInfo.status, started];
    },
    meter: () => event('Updated', 'MeterValuePeriodic', 'Charging', 1500),
    end: async () => {
      await event('Ended', 'StopAuthorized', 'EVConnected', 2000);
      await status('Available');
      await client.call('FirmwareStatusNotification', { status: 'Idle' });
      await client.call('SecurityEventNotification', { type: 'SettingSystemTime', timestamp: now() });
    },
  };
}

async function main() {
  const client = new RPCClient({
    endpoint: options.url,
    identity: options.identity,
    protocols: [`ocpp${options.version}`],
    strictMode: true,
    password: options.password,
    reconnect: false,
    callTimeoutMs: WAIT_MS,
    wsOpts: { ca: file('ca'), cert: file('cert'), key: file('key') },
  });
  client.on('strictValidationFailure', ({ error }) => violations.push(String(error)));
  client.on('badMessage', ({ error }) => violations.push(String(error)));
  client.handle(answer);
  await client.connect();
  const life = options.version === '1.6' ? chargingIn16(client) : chargingIn201(client);
  const { status: registered } = await life.boot();
  await client.call('Heartbeat', {});
  const [authorized, transaction] = await life.begin();
  const profile = await Promise.race([
    permit,
    new Promise((_, reject) => setTimeout(() => reject(new Error('no permit came')), WAIT_MS).unref()),
  ]);
  await life.meter(transaction);
  await life.end(transaction);
  await client.close();
  console.log(JSON.stringify({ registered, authorized, protocol: client.protocol, profile, asked, violations }));
}

main().then(() => process.exit(0), (error) => {
  console.log(JSON.stringify({ failed: String(error), code: error.code, asked, violations }));
  process.exit(1);
});
