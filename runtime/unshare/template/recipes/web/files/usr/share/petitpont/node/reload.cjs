// Ends the application when a program of its folder changes; its starter starts it anew. Nothing runs until then.
'use strict';
const { watch } = require('node:fs');
let timer;
try {
	watch('/home/site/app', { persistent: false }, (_, name) => {
		if (!/\.(c|m)?js$|^\.env$/.test(name || '')) return;
		clearTimeout(timer);
		timer = setTimeout(() => process.exit(75), 300); // an upload comes in pieces
	}).on('error', () => {});
} catch {} // no folder, or no watches left: it runs all the same
