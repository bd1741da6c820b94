package i18n

// What a site is held to.
func init() {
	add(map[string]Entry{
		"limit.memory":       {"Mémoire", "Memory"},
		"limit.disk":         {"Disque", "Disk"},
		"limit.cpu":          {"Processeur", "Processor"},
		"limit.procs":        {"Processus", "Processes"},
		"limit.memory-in":    {"Mémoire (Mo)", "Memory (MB)"},
		"limit.disk-in":      {"Disque (Mo)", "Disk (MB)"},
		"limit.cpu-in":       {"Processeur (% d'un cœur)", "Processor (% of a core)"},
		"limit.procs-in":     {"Processus et fils d'exécution", "Processes and threads"},
		"limit.inodes":       {"Fichiers et dossiers", "Files and folders"},
		"limit.io":           {"Débit du disque", "Disk speed"},
		"limit.tmp":          {"Fichiers temporaires", "Temporary files"},
		"limit.files":        {"Fichiers ouverts", "Open files"},
		"limit.watches":      {"Fichiers surveillés", "Watched files"},
		"limit.terminals":    {"Terminaux", "Terminals"},
		"limit.inodes-in":    {"Fichiers et dossiers", "Files and folders"},
		"limit.io-in":        {"Débit du disque (Mo/s)", "Disk speed (MB/s)"},
		"limit.tmp-in":       {"Fichiers temporaires (Mo)", "Temporary files (MB)"},
		"limit.files-in":     {"Fichiers ouverts, par processus", "Open files, per process"},
		"limit.watches-in":   {"Fichiers surveillés (inotify)", "Watched files (inotify)"},
		"limit.terminals-in": {"Terminaux (pty)", "Terminals (pty)"},
		"limit.more":         {"Plus de limites", "More limits"},
		"limit.plan-none":    {"Règle du rôle : la valeur par défaut", "Rule of the role: the default value"},
		"limit.inodes-hint":  {"Plus que son disque n'en contient attendent un disque plus grand. Règle du rôle : {n}", "More than its disk can hold wait for a larger one. Rule of the role: {n}"},
		"limit.io-hint":      {"En lecture, et autant en écriture. Règle du rôle : {n}", "Reading, and as much writing. Rule of the role: {n}"},
		"limit.tmp-hint":     {"/tmp, /run et /dev/shm, chacun ; pris sur la mémoire. Règle du rôle : {n}", "Each of /tmp, /run and /dev/shm; taken from memory. Rule of the role: {n}"},
		"limit.files-hint":   {"Ce qui tourne peut garder l'ancien nombre jusqu'au prochain démarrage. Règle du rôle : {n}", "What runs may keep the old number until the next start. Rule of the role: {n}"},
		"limit.title":        {"Limites de ce site", "Limits of this site"},
		"limit.lead":         {"Elles s'appliquent tout de suite, même si le site tourne. Une case vide suit la règle du rôle.", "They apply at once, even while the site runs. An empty field follows the rule of the role."},
		"limit.plan":         {"Règle du rôle : {n}", "Rule of the role: {n}"},
		"limit.disk-hint":    {"Un disque ne rétrécit jamais. Règle du rôle : {n}", "A disk never shrinks. Rule of the role: {n}"},
		"limit.apply":        {"Appliquer", "Apply"},
		"limit.reset":        {"Revenir aux règles du rôle", "Go back to the rules of the role"},
		"limit.number":       {"Écrivez un nombre entier, ou laissez la case vide.", "Type a whole number, or leave the field empty."},
		"said.limits":        {"Limites de {s} appliquées.", "Limits of {s} applied."},
		"error.limit-size":   {"{limit} : entre {least} et {most}. Rien n'a été modifié.", "{limit}: between {least} and {most}. Nothing was changed."},
		"error.limit-count": {
			"{limit} : entre {least} et {most}. Rien n'a été modifié.",
			"{limit}: between {least} and {most}. Nothing was changed.",
		},
		"error.disk-shrinks": {
			"Le disque de « {s} » fait {size} et ne peut que grandir. Rien n'a été modifié.",
			"The disk of “{s}” is {size} and can only grow. Nothing was changed.",
		},
		"error.disk-grow": {
			"Le serveur n'a plus assez de disque pour agrandir celui de « {s} ». Rien n'a été modifié ; libérez de la place ou choisissez moins.",
			"The server does not have enough disk left to enlarge that of “{s}”. Nothing was changed; free some space or choose less.",
		},
	})
}
