// La page d'accueil d'un site neuf : remplacez-la. / The welcome page of a new site: replace it.
// Vos modules : déposez node_modules ici. / Your modules: put node_modules here.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const env = process.env;
const share = '/usr/share/petitpont/welcome/';

/** Une requête à la base de données du site. / A query to the site's database. */
async function query(sql) {
	if (env.DB_ENGINE === 'postgresql') {
		const client = new (require('pg').Client)({ host: env.DB_SOCKET, database: env.DB_NAME, user: env.DB_USER, password: env.DB_PASSWORD });
		await client.connect();
		try { return (await client.query(sql)).rows; } finally { await client.end(); }
	}
	const connection = require('mysql').createConnection({ socketPath: env.DB_SOCKET, database: env.DB_NAME, user: env.DB_USER, password: env.DB_PASSWORD });
	try {
		return await new Promise((done, failed) => connection.query(sql, (error, rows) => error ? failed(error) : done(rows)));
	} finally { connection.destroy(); }
}

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const fill = (text, words) => text.replace(/\{(\w+)\}/g, (all, name) => words[name] ?? all);

async function database(words) {
	if (!env.DB_ENGINE) return '';
	try {
		const [row] = await query('SELECT version() AS version, current_user AS name');
		return fill(words.answers, { engine: env.DB_ENGINE === 'postgresql' ? 'PostgreSQL' : 'MariaDB', version: row.version.match(/\d+(\.\d+)+/)[0], user: escape(row.name) });
	} catch (error) {
		return fill(words.silent, { error: escape(error.message) });
	}
}

http.createServer(async (request, response) => {
	const { searchParams } = new URL(request.url, 'http://localhost');
	const chosen = searchParams.get('lang') ?? (request.headers['accept-language'] ?? 'fr').toLowerCase();
	const words = JSON.parse(fs.readFileSync(share + 'words.json', 'utf8'))[chosen.startsWith('fr') ? 'fr' : 'en'];
	words.host = escape((request.headers.host ?? '').replace(/:\d+$/, ''));
	words.put = words.putApp;
	words.change = fill(words.change, { file: 'server.js' });
	words.language = 'Node.js ' + process.versions.node.split('.')[0];
	words.log = 'logs/app.log';
	words.database = await database(words);
	response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
	response.end(fill(fs.readFileSync(share + 'page.html', 'utf8'), words));
}).listen(env.PORT);
