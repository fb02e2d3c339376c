// An SMSC: the server of the npm package `smpp`, which nobody here wrote, and as little around it as a test needs.
//
// Commands come as one JSON object a line on standard input, events leave the same way on standard output:
//   {"do": "answer", "with": "ok" | "throttled" | "nothing"}   what submits get from now on; throttled: the next `count`
//   {"do": "release"}                                          answers what was not answered
//   {"do": "receipt", "id": "...", "stat": "DELIVRD"}          a delivery receipt to whoever is bound
//   {"do": "say", "text": "..."}                               a telephone writes
//   {"do": "reuse"}                                            the next submit gets the id of the last one
//   {"do": "disconnect"}                                       every line is cut, no goodbye
//   {"do": "mark", "number": 1}                                an event of that number, after all events until now
//   {"do": "close"} {"do": "listen"}                           nobody may come in; somebody may again
'use strict';

const readline = require('readline');
const smpp = require('smpp');

const PASSWORD = process.argv[2];
let port = Number(process.argv[3] || 0);
let mode = 'ok';
let throttled = 0;
let taken = 0;
const held = []; // answers that were not given
let server;
const bound = new Map(); // session -> whom the next messages are from

const say = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n');

function open() {
  server = smpp.createServer({}, session => {
    session.on('error', () => {});
    session.on('close', () => {
      bound.delete(session);
      say('closed');
    });
    session.on('bind_transceiver', pdu => {
      const right = pdu.password === PASSWORD;
      session.send(pdu.response({ command_status: right ? smpp.ESME_ROK : smpp.ESME_RINVPASWD, system_id: 'NODE' }));
      if (right) bound.set(session, pdu.system_id);
      say(right ? 'bound' : 'refused', { system_id: pdu.system_id, version: pdu.interface_version });
    });
    session.on('enquire_link', pdu => session.send(pdu.response()));
    session.on('unbind', pdu => {
      say('unbound');
      session.send(pdu.response());
      session.close();
    });
    session.on('deliver_sm_resp', pdu => say('acknowledged', { status: pdu.command_status }));
    session.on('generic_nack', pdu => say('nack', { status: pdu.command_status }));
    session.on('submit_sm', pdu => submitted(session, pdu));
  });
  server.listen(port, '127.0.0.1', () => {
    port = server.address().port;
    say('listening', { port });
  });
}

function submitted(session, pdu) {
  const text = pdu.short_message.message || (pdu.message_payload && pdu.message_payload.message) || '';
  const seen = {
    to: pdu.destination_addr, from: pdu.source_addr, text, coding: pdu.data_coding,
    receipt: pdu.registered_delivery, validity: pdu.validity_period, answered: mode,
  };
  if (throttled > 0) {
    throttled -= 1;
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    say('submitted', { ...seen, answered: 'throttled' });
  } else if (mode === 'nothing') {
    held.push(() => take(session, pdu));
    say('submitted', seen);
  } else {
    say('submitted', { ...seen, id: take(session, pdu) });
  }
}

function take(session, pdu) {
  taken += 1;
  const id = (0xabc000 + taken).toString(16);
  session.send(pdu.response({ message_id: id }));
  return id;
}

function deliver(fields) {
  for (const [session] of bound) session.deliver_sm(fields);
}

const commands = {
  mark: ({ number }) => say('mark', { number }),
  answer: ({ with: how, count }) => {
    if (how === 'throttled') throttled = count;
    else mode = how;
  },
  release: () => held.splice(0).forEach(answer => answer()),
  receipt: ({ id, stat, to }) => deliver({
    esm_class: 4, source_addr: to, destination_addr: 'AVAL',
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:${stat} err:000 text:-`,
  }),
  say: ({ text, from }) => deliver({ esm_class: 0, source_addr: from, destination_addr: 'AVAL', short_message: text }),
  reuse: () => { taken -= 1; },
  disconnect: () => { for (const [session] of bound) session.destroy(); },
  close: () => server.close(),
  listen: open,
};

readline.createInterface({ input: process.stdin })
  .on('line', line => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on('close', () => process.exit(0)); // whoever started us is gone
open();
