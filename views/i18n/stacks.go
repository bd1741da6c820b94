package i18n

// What a site is made of: the create form and the first steps.
func init() {
	add(map[string]Entry{
		"part.nginx":      {"nginx", "nginx"},
		"part.apache":     {"Apache", "Apache"},
		"part.caddy":      {"Caddy", "Caddy"},
		"part.mariadb":    {"MariaDB", "MariaDB"},
		"part.postgresql": {"PostgreSQL", "PostgreSQL"},
		"part.none":       {"aucune", "none"},

		"stack.php":               {"PHP", "PHP"},
		"stack.php-about":         {"Pour les TP et les petits sites dynamiques.", "For course work and small dynamic sites."},
		"stack.php-mariadb-about": {"Pour un site avec des comptes, des articles, un panier.", "For a site with accounts, articles, a basket."},
		"stack.none":              {"Page simple", "Plain pages"},
		"stack.none-about":        {"HTML, CSS et JavaScript, sans programme.", "HTML, CSS and JavaScript, no program."},
		"stack.python":            {"Python", "Python"},
		"stack.python-about":      {"Une application WSGI : Flask, Django…", "A WSGI application: Flask, Django…"},
		"stack.node":              {"Node.js", "Node.js"},
		"stack.node-about":        {"Un serveur en JavaScript.", "A server in JavaScript."},
		"stack.with":              {"{language} + {database}", "{language} + {database}"},

		"create.more":        {"Plus d'options", "More options"},
		"create.server":      {"Serveur web", "Web server"},
		"create.database":    {"Base de données", "Database"},
		"create.db-as":       {"Celle du modèle ({what})", "That of the template ({what})"},
		"create.db-no":       {"Sans base de données", "No database"},
		"create.db-hint":     {"Elle tourne dans le site et compte dans son disque et sa mémoire.", "It runs inside the site and counts in its disk and memory."},
		"create.db-needs":    {"Une base de données demande un langage : choisissez PHP, Python ou Node.js.", "A database needs a language: choose PHP, Python or Node.js."},
		"create.no-template": {"Aucun modèle n'est disponible. L'administrateur doit en publier un.", "No template is available. The administrator has to publish one."},

		"over.server-web": {"Serveur web", "Web server"},
		"over.database":   {"Base de données", "Database"},
		"over.waits": {
			"Des réglages ont changé depuis le démarrage de ce site : ils s'appliqueront à son prochain démarrage.",
			"Settings have changed since this site started: they apply at its next start.",
		},
		"over.disk-grows": {"Le disque passera à {n} au prochain démarrage du site.", "The disk will grow to {n} at the next start of the site."},
		"over.procs":      {"Processus", "Processes"},
		"over.cpu":        {"Processeur", "Processor"},
		"over.cpu-of":     {"{t} depuis le démarrage, {n}\u00a0% d'un cœur au plus", "{t} since its start, at most {n}% of a core"},

		"setup.title":    {"Pour commencer", "First steps"},
		"setup.php-1":    {"Déposez vos fichiers dans le dossier /www : index.php est la page d'accueil.", "Put your files in the folder /www: index.php is the home page."},
		"setup.php-2":    {"Une page modifiée se voit dès la visite suivante.", "A changed page shows at the next visit."},
		"setup.none-1":   {"Déposez vos fichiers dans le dossier /www : index.html est la page d'accueil.", "Put your files in the folder /www: index.html is the home page."},
		"setup.python-1": {"Le programme est /app/app.py ; il définit « application », une application WSGI.", "The program is /app/app.py; it defines “application”, a WSGI application."},
		"setup.python-2": {"Images, styles et scripts vont dans le dossier /www.", "Images, styles and scripts go in the folder /www."},
		"setup.python-3": {"Après une modification du programme, redémarrez le site.", "After you change the program, restart the site."},
		"setup.node-1":   {"Le programme est /app/server.js ; il écoute sur process.env.PORT.", "The program is /app/server.js; it listens on process.env.PORT."},
		"setup.node-2":   {"Images, styles et scripts vont dans le dossier /www.", "Images, styles and scripts go in the folder /www."},
		"setup.node-3":   {"Après une modification du programme, redémarrez le site.", "After you change the program, restart the site."},

		"error.stack": {"Cette combinaison n'est pas proposée : une base de données demande un langage. Rien n'a été créé.", "This combination is not offered: a database needs a language. Nothing was created."},
	})
}
