package i18n

// What a visitor of a site reads when the site itself does not answer: one heading and one sentence for each page of
// the proxy, without technical detail, and the label of the link for the person in charge.
func init() {
	add(map[string]Entry{
		"proxy.waking.title": {"Le site se réveille…", "The site is waking up…"},
		"proxy.waking.text": {
			"{host} était en veille. D'ordinaire, cela prend 2 secondes ; la page s'ouvrira seule.",
			"{host} was asleep. This usually takes 2 seconds; the page will open by itself.",
		},
		"proxy.waking.long": {"C'est plus long que d'habitude.", "This is taking longer than usual."},

		"proxy.stopped.title": {"Ce site est arrêté", "This site is stopped"},
		"proxy.stopped.text":  {"Son responsable l'a mis à l'arrêt.", "Its owner has stopped it."},
		"proxy.stopped.owner": {"Vous en êtes responsable ? Le démarrer", "Are you the owner? Start it"},

		"proxy.unknown.title": {"Aucun site à cette adresse", "No site at this address"},
		"proxy.unknown.text":  {"{host} n'existe pas, ou plus.", "{host} does not exist, or no longer does."},
		"proxy.unknown.owner": {"Créer ce site", "Create this site"},

		"proxy.down.title": {"Ce site ne répond pas", "This site is not answering"},
		"proxy.down.text": {
			"Le problème vient du site, pas de votre connexion.",
			"The problem is with the site, not your connection.",
		},
		"proxy.down.owner": {"Vous en êtes responsable ? Voir pourquoi", "Are you the owner? See why"},

		"proxy.slow.title": {"Ce site met trop de temps à répondre", "This site is taking too long"},
		"proxy.slow.text":  {"Aucune réponse en {n} s.", "No answer in {n} s."},
		"proxy.slow.owner": {"Vous en êtes responsable ? Voir pourquoi", "Are you the owner? See why"},

		"proxy.full.title": {"Trop de sites en même temps", "Too many sites at once"},
		"proxy.full.text": {
			"Le serveur est plein pour l'instant. Nouvel essai dans {n} s.",
			"The server is full for now. Trying again in {n} s.",
		},

		"proxy.crowded.title": {"Trop de visites en même temps", "Too many visits at once"},
		"proxy.crowded.text": {
			"{host} reçoit plus de demandes que prévu. Nouvel essai dans {n} s.",
			"{host} is receiving more requests than planned. Trying again in {n} s.",
		},

		"proxy.paused.title": {"Les sites sont interrompus un instant", "Sites are interrupted for a moment"},
		"proxy.paused.text": {
			"Le service des sites redémarre, rien n'est perdu. Nouvel essai dans {n} s.",
			"The service that runs the sites is restarting, nothing is lost. Trying again in {n} s.",
		},

		"proxy.fault.title": {"Quelque chose n'a pas fonctionné", "Something did not work"},
		"proxy.fault.text": {
			"Le problème vient de notre côté. Réessayez ; si cela revient, donnez la référence ci-dessous à l'administrateur.",
			"The problem is on our side. Try again; if it happens again, give the reference below to the administrator.",
		},

		"proxy.large.title": {"Fichier trop gros", "File too large"},
		"proxy.large.text":  {"La limite est de {size}. Rien n'a été envoyé au site.", "The limit is {size}. Nothing was sent to the site."},

		"proxy.bad.title": {"Demande mal formée", "Malformed request"},
		"proxy.bad.text": {
			"Cette demande ne peut pas être transmise à un site. Vérifiez l'adresse.",
			"This request cannot be passed on to a site. Check the address.",
		},

		"proxy.method.title": {"Méthode refusée", "Method not allowed"},
		"proxy.method.text":  {"Cette méthode n'est pas transmise aux sites.", "This method is not passed on to sites."},

		"proxy.misdirected.title": {"Mauvaise connexion pour cette adresse", "Wrong connection for this address"},
		"proxy.misdirected.text": {
			"Cette connexion a été ouverte pour une autre adresse. Réessayez.",
			"This connection was opened for another address. Try again.",
		},

		"proxy.nothing.title": {"Rien à cette adresse", "Nothing at this address"},
		"proxy.nothing.text": {
			"Cette page est réservée à petitpont.",
			"This page is reserved for petitpont.",
		},

		"proxy.retry": {"Réessayer", "Try again"},
		"proxy.back":  {"Retour", "Back"},
		"proxy.ref":   {"Référence : {ref}", "Reference: {ref}"},
	})
}
