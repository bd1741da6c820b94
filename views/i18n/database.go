package i18n

// How to reach the database of a site.
func init() {
	add(map[string]Entry{
		"db.lead":      {"Elle ne répond qu'aux programmes de ce site. Ils trouvent ces valeurs dans leurs variables d'environnement.", "It answers only to the programs of this site. They find these values in their environment variables."},
		"db.engine":    {"Moteur", "Engine"},
		"db.host":      {"Serveur", "Host"},
		"db.port":      {"Port", "Port"},
		"db.socket":    {"Socket", "Socket"},
		"db.name":      {"Nom de la base", "Database name"},
		"db.user":      {"Utilisateur", "User"},
		"db.password":  {"Mot de passe", "Password"},
		"db.show":      {"Afficher", "Show"},
		"db.show-what": {"Afficher le mot de passe de la base", "Show the database password"},
		"db.examples":  {"Exemples de connexion", "Connection examples"},
		"db.env-keep":  {"Ce fichier contient le mot de passe : gardez-le hors du dossier /www.", "This file holds the password: keep it out of the folder /www."},
		"snippet.php":  {"PHP (PDO)", "PHP (PDO)"},
		"snippet.py":   {"Python", "Python"},
		"snippet.node": {"Node.js", "Node.js"},
		"snippet.env":  {"Fichier .env", ".env file"},
	})
}
