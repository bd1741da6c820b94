package i18n

// The words of the SSH gate. They reach a terminal: one line each, unless they say otherwise.
func init() {
	add(map[string]Entry{
		"gate.says":     {"petitpont : {text}", "petitpont: {text}"},
		"gate.password": {"Mot de passe de l'école : ", "School password: "},
		"gate.connections": {
			"petitpont : vous avez trop de connexions ouvertes. Fermez-en une, puis recommencez.",
			"petitpont: you have too many connections open. Close one, then try again.",
		},
		"gate.directory-down": { // M53
			"petitpont : l'annuaire de l'école ne répond pas, la connexion est impossible pour l'instant. Vos sites restent en ligne.",
			"petitpont: the school directory is not answering, so signing in is not possible right now. Your sites stay online.",
		},
		"gate.unexpected": {
			"petitpont : une erreur inattendue est survenue. Rien n'a été modifié. Réessayez dans un instant.",
			"petitpont: something unexpected happened. Nothing was changed. Try again in a moment.",
		},
		"gate.unknown": { // M52
			"petitpont : « {x} » n'est pas un de vos sites. Vos sites : {list}.",
			"petitpont: \"{x}\" is not one of your sites. Your sites: {list}.",
		},
		"gate.unknown-none": { // M52
			"petitpont : « {x} » n'est pas un de vos sites. Vous n'en avez pas encore : créez-le dans le panneau.",
			"petitpont: \"{x}\" is not one of your sites. You have none yet: create it in the panel.",
		},
		"gate.gone": {
			"petitpont : le site « {s} » a été supprimé.",
			"petitpont: the site \"{s}\" has been deleted.",
		},
		"gate.ended": {
			"petitpont : l'accès aux fichiers s'est arrêté. Reconnectez-vous.",
			"petitpont: access to the files has ended. Connect again.",
		},
		"gate.root": {
			"Les sites se créent et se suppriment dans le panneau. Mettez vos fichiers dans le dossier d'un site, par exemple blog/www.",
			"Sites are created and deleted in the panel. Put your files in the folder of a site, for example blog/www.",
		},
		"gate.across": {
			"Un fichier ne peut pas être renommé d'un site vers un autre. Copiez-le, puis supprimez l'original.",
			"A file cannot be renamed from one site to another. Copy it, then delete the original.",
		},
		"gate.too-much": {
			"Trop de fichiers ou de dossiers sont ouverts en même temps. Fermez-en, puis recommencez.",
			"Too many files or folders are open at the same time. Close some, then try again.",
		},
		"gate.full": {"disque plein ({u} sur {q})", "disk full ({u} of {q})"}, // M54
		"gate.rsync": {
			"petitpont : rsync n'est pas encore proposé ici. Utilisez sftp ou scp.",
			"petitpont: rsync is not offered here yet. Use sftp or scp.",
		},
		"gate.no-command": {
			"petitpont : « {x} » n'est pas une commande d'ici. Il y a : help, sites, whoami, et scp.",
			"petitpont: \"{x}\" is not a command here. There are: help, sites, whoami, and scp.",
		},
		"gate.hello":    {"Bonjour {name}.", "Hello {name}."},
		"gate.no-sites": {"Vous n'avez pas encore de site : créez-le dans le panneau.", "You have no site yet: create it in the panel."},
		"gate.example":  {"monsite", "mysite"},
		"gate.help": { // several lines
			`Mettre des fichiers :
   {sftp}
      tous vos sites ; cd {s}/www puis put index.php
   {one}
      un seul site, déjà dans www
   {scp}
Commandes :
   {ssh} sites
   {ssh} whoami
   {ssh} help`,
			`Put files:
   {sftp}
      all your sites; cd {s}/www then put index.php
   {one}
      one site, already in www
   {scp}
Commands:
   {ssh} sites
   {ssh} whoami
   {ssh} help`,
		},
		"gate.state.creating": {"Création…", "Creating…"},
		"gate.state.asleep":   {"En veille", "Asleep"},
		"gate.state.waking":   {"Réveil…", "Waking…"},
		"gate.state.awake":    {"En ligne", "Online"},
		"gate.state.dozing":   {"En ligne", "Online"},
		"gate.state.stopping": {"Arrêt…", "Stopping…"},
		"gate.state.stopped":  {"Arrêté", "Stopped"},
		"gate.state.failed":   {"En panne", "Down"},
		"gate.state.deleting": {"Suppression…", "Deleting…"},
		"gate.no-user":        {"« ~ » ne peut être suivi que de « / » ici.", "\"~\" can only be followed by \"/\" here."},
		"gate.scp.missing":    {"ce fichier n'existe pas", "no such file or folder"},
		"gate.scp.denied":     {"accès refusé", "permission denied"},
		"gate.scp.no-folder":  {"ce dossier n'existe pas", "no such folder"},
		"gate.scp.irregular":  {"ce n'est pas un fichier (dossier : ajoutez -r)", "not a file (folder: add -r)"},
		"gate.scp.deep":       {"trop de dossiers les uns dans les autres", "too many folders inside each other"},
		"gate.scp.name":       {"ce nom ne peut pas être transmis par scp -O, utilisez sftp", "this name cannot be sent by scp -O, use sftp"},
		"gate.scp.protocol":   {"le client scp a envoyé une ligne incomprise", "the scp client sent a line that makes no sense"},
	})
}
