// Digests, computed in a worker thread.
'use strict';

const { Worker } = require('worker_threads');
const path = require('path');

module.exports = (text) => new Promise((resolve, reject) => {
  const worker = new Worker(path.join(__dirname, 'digest-worker.js'), { workerData: text });
  worker.once('message', resolve);
  worker.once('error', reject);
});
