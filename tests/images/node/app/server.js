// A corner shop: JSON, static files, and a route whose module is loaded when it is first asked for.
'use strict';

const express = require('express');
const goods = require('./goods.json');
const office = require('./routes/office');

const app = express();
app.use(express.json());
app.use('/static', express.static('public'));

app.get('/goods', (request, response) => response.json(goods));
app.post('/orders', (request, response) => {
  const price = goods[request.body.name];
  if (price === undefined) return response.status(404).json({ error: 'no such goods' });
  response.status(201).json({ total: price * request.body.count });
});
app.get('/digest/:text', (request, response, next) => {
  require('./routes/digest')(request.params.text).then((digest) => response.send(digest)).catch(next);
});
app.get('/resolve/:name', (request, response) => {
  require('dns').lookup(request.params.name, { family: 4 }, (error, address) => {
    response.status(error ? 502 : 200).send(error ? error.code : address);
  });
});
app.get('/office/:name', (request, response, next) => {
  office(request.params.name).then((text) => {
    response.status(text === undefined ? 404 : 200).type('text').send(text ?? 'no such answer');
  }).catch(next);
});
app.post('/notes', express.text(), (request, response) => response.type('text').send(request.body.toUpperCase()));
app.post('/form', express.urlencoded({ extended: true }), (request, response) => response.json(request.body));
app.get('/notes', (request, response) => response.sendFile('notes.txt', { root: __dirname }));
app.use((error, request, response, next) => response.status(error.status ?? 500).type('text').send(String(error)));

const server = app.listen(3000);
process.on('SIGTERM', () => server.close());
