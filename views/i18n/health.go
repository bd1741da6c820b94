package i18n

// How petitpont itself does, for administrators (P22).
func init() {
	add(map[string]Entry{
		"health.title":     {"Santé", "Health"},
		"health.parts":     {"Les services de petitpont", "The parts of petitpont"},
		"health.part":      {"Service", "Part"},
		"health.verdict":   {"État", "State"},
		"health.detail":    {"Détail", "Detail"},
		"health.directory": {"Annuaire", "Directory"},
		"health.runtime":   {"Exécution des sites", "Running of sites"},
		"health.gate":      {"Accès SFTP", "SFTP access"},
		"health.proxy":     {"Sites, entrée HTTP", "Sites, HTTP entrance"},
		"health.storage":   {"Stockage", "Storage"},
		"health.register":  {"Base de l'application", "Application database"},
		"health.works":     {"Répond", "Answers"},
		"health.fails":     {"En panne", "Down"},
		"health.took":      {"en {t}", "in {t}"},
		"health.promised":  {"{p} promis aux sites, {u} occupés, sur {v}", "{p} promised to sites, {u} in use, of {v}"},
		"health.enough":    {"De la place", "Has room"},
		"health.short":     {"Trop promis", "Over-promised"},

		"health.check":        {"Autotest de l'isolation", "Isolation self-check"},
		"health.check-lead":   {"Des attaques tentées depuis un site jetable, avec tous les droits du site (root) puis comme son serveur web.", "Attacks tried from a throw-away site, with all the rights of the site (root), then as its web server."},
		"health.check-never":  {"Il n'a pas encore été lancé. Sur le serveur : petitpont selfcheck", "It has not been run yet. On the server: petitpont selfcheck"},
		"health.check-when":   {"Lancé {t}, version {v}.", "Run {t}, version {v}."},
		"health.check-ok":     {"Les {n} attaques ont été bloquées.", "All {n} attacks were blocked."},
		"health.check-bad":    {"Attaques qui n'ont pas été bloquées : {open} sur {n}.", "Attacks that were not blocked: {open} of {n}."},
		"health.check-part":   {"Aucune attaque n'a passé, mais des essais n'ont pas abouti : le résultat est incomplet.", "No attack went through, but some tries did not complete: the result is partial."},
		"health.check-unread": {"Le dernier résultat n'a pas pu être lu : {why}", "The last result could not be read: {why}"},
		"health.probe":        {"Attaque", "Attack"},
		"health.protection":   {"Protection", "Protection"},
		"health.as-root":      {"root du site", "Site root"},
		"health.as-web":       {"Serveur web", "Web server"},
		"probe.blocked":       {"Bloquée", "Blocked"},
		"probe.open":          {"Passe", "Open"},
		"probe.error":         {"Erreur", "Error"},
		"probe.none":          {"Sans objet", "Not applicable"},
		"probe.unknown":       {"Non essayée", "Not tried"},
	})
}
