package i18n

// What went wrong, one sentence for every code of site.Code, and the label of the next step under it.
// A sentence says what happened, what is kept and what to do; it never blames and never exclaims.
func init() {
	add(map[string]Entry{
		"error.wrong-password": {"Identifiant ou mot de passe incorrect.", "Wrong user name or password."},
		"error.too-many-tries": {
			"Trop d'essais. Nouvel essai possible dans {s} secondes.",
			"Too many attempts. You can try again in {s} seconds.",
		},
		"error.directory-down": {
			"L'annuaire de l'école ne répond pas, la connexion est impossible pour l'instant. Vos sites restent en ligne.",
			"The school directory is not answering, so signing in is not possible right now. Your sites stay online.",
		},
		"error.directory-deny": {
			"L'annuaire a refusé le serveur petitpont. L'administrateur a été prévenu.",
			"The directory refused the petitpont server. The administrator has been notified.",
		},
		"error.no-role": {
			"Votre compte ({login}) n'ouvre pas droit à un site.",
			"Your account ({login}) does not include a site.",
		},
		"error.session": {
			"Votre session a expiré. Reconnectez-vous pour continuer où vous en étiez.",
			"Your session has expired. Sign in to continue where you were.",
		},
		"error.foreign-form": {
			"Cette demande ne vient pas d'une page du panneau, elle a été refusée. Rien n'a été modifié.",
			"This request did not come from a page of the panel, so it was refused. Nothing was changed.",
		},
		"error.not-found": {
			"Ce site n'existe pas, ou vous n'y avez pas accès.",
			"This site does not exist, or you have no access to it.",
		},
		"error.name-taken": {
			"« {n} » est déjà pris. Libres : {a}, {b}.",
			"“{n}” is already taken. Available: {a}, {b}.",
		},
		"error.name-reserved": {
			"« {n} » est réservé. Essayez « {a} ».",
			"“{n}” is reserved. Try “{a}”.",
		},
		"error.name-bad": {
			"Utilisez 3 à 40 lettres sans accent, chiffres ou tirets. Problème : « {c} ».",
			"Use 3 to 40 unaccented letters, digits or hyphens. Problem: “{c}”.",
		},
		"error.quota": {
			"Vous avez {n} sites sur {n}. Supprimez-en un pour en créer un autre.",
			"You have {n} of {n} sites. Delete one to create another.",
		},
		"error.host-memory": {
			"Le serveur manque de mémoire pour démarrer un site de plus. Vos fichiers sont intacts ; réessayez dans une minute.",
			"The server is short of memory to start one more site. Your files are kept; try again in a minute.",
		},
		"error.host-disk": {
			"Le serveur n'a plus assez de disque pour créer un site. Vos autres sites ne sont pas touchés. Prévenez l'administrateur.",
			"The server does not have enough disk left to create a site. Your other sites are not affected. Tell the administrator.",
		},
		"error.no-template": {
			"Le modèle « {t} » n'est pas prêt. L'administrateur doit le publier.",
			"The template “{t}” is not ready. The administrator has to publish it.",
		},
		"error.silent": {
			"« {s} » a démarré, mais rien n'écoute sur le port 80 après {n} s. Vos fichiers sont intacts.",
			"“{s}” started, but nothing listens on port 80 after {n} s. Your files are kept.",
		},
		"error.server-ended": {
			"Le serveur web de « {s} » s'est arrêté pendant le démarrage. Vos fichiers sont intacts ; son journal dit pourquoi.",
			"The web server of “{s}” ended while starting. Your files are kept; its log says why.",
		},
		"error.site-memory": {
			"« {s} » a été arrêté car il dépassait {m} de mémoire. Vos fichiers sont intacts.",
			"“{s}” was stopped because it used more than {m} of memory. Your files are kept.",
		},
		"error.looping": {
			"« {s} » s'est arrêté {n} fois en 10 min ; les relances sont suspendues. Première cause : {cause}.",
			"“{s}” stopped {n} times in 10 min; restarts are paused. First cause: {cause}.",
		},
		"error.typed": {
			"Vous avez écrit « {x} » ; le site s'appelle « {s} ». Rien n'a été supprimé.",
			"You typed “{x}”; the site is called “{s}”. Nothing was deleted.",
		},
		"error.sessions": {
			"« {s} » a déjà {n} connexions de fichiers ouvertes. Fermez-en une, puis réessayez.",
			"“{s}” already has {n} file connections open. Close one, then try again.",
		},
		"error.busy": {
			"« {s} » est occupé ({action}). Votre demande n'a pas été lancée ; recommencez dès que c'est fini.",
			"“{s}” is busy ({action}). Your request was not started; try again once it is done.",
		},
		"error.forbidden": {
			"Votre rôle ne permet pas cette action. Rien n'a été modifié.",
			"Your role does not allow this. Nothing was changed.",
		},
		"error.runtime-down": {
			"Le service qui fait tourner les sites ne répond pas. Les sites en ligne le restent ; réessayez dans un instant.",
			"The service that runs the sites is not answering. Sites that are online stay online; try again in a moment.",
		},
		"error.disk-broken": {
			"Le disque de « {s} » n'a pas pu être ouvert, le site n'a donc pas démarré. Rien n'y a été changé ; l'administrateur trouve la cause dans le journal (réf. {ref}).",
			"The disk of “{s}” could not be opened, so the site did not start. Nothing on it was changed; the administrator finds the cause in the log (ref. {ref}).",
		},
		"error.disk-missing": {
			"Le disque de « {s} » est introuvable. Le site n'a pas été remplacé par un site vide. Prévenez l'administrateur.",
			"The disk of “{s}” cannot be found. The site was not replaced by an empty one. Tell the administrator.",
		},
		"error.stopped": {
			"Ce site a été arrêté par son responsable. Il ne démarre pas à la visite.",
			"This site was stopped by its owner. A visit does not start it.",
		},
		"error.unexpected": {
			"Quelque chose n'a pas fonctionné de notre côté. Réessayez ; si cela revient, donnez la référence {ref}.",
			"Something failed on our side. Try again; if it happens again, give reference {ref}.",
		},

		"next.sites":  {"Mes sites", "My sites"},
		"next.retry":  {"Réessayer", "Retry"},
		"next.signin": {"Se connecter", "Sign in"},
		"next.create": {"Choisir un autre nom", "Choose another name"},

		"action.creating": {"création", "being created"},
		"action.waking":   {"démarrage", "starting"},
		"action.stopping": {"arrêt", "stopping"},
		"action.deleting": {"suppression", "being deleted"},
	})
}
