// The worker of digest.js.
'use strict';

const { parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');

parentPort.postMessage(crypto.createHash('sha256').update(workerData).digest('hex'));
