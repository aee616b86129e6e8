// A process of its own, for office.js.
'use strict';

process.send('from a child', () => process.exit());
