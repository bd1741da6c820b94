package i18n

import "strings"

// The report of `petitpont selfcheck` is in English, as its table on the terminal and its JSON are. These are its words
// in French, by the names that it gives to attacks and protections; a report of another version may have others, which
// are shown as they stand.

// Attack is the name of an attack of the self-check and what it tries, in l.
func Attack(l Lang, name, about string) (string, string) {
	if fr, ok := attacks[name]; ok && l == FR {
		return french(fr.name), french(fr.about)
	}
	return name, about
}

// Wall is the name of a protection of the self-check, in l.
func Wall(l Lang, name string) string {
	if l != FR {
		return name
	}
	if right, ok := strings.CutPrefix(name, "capability "); ok {
		return "capacité " + right
	}
	if fr, ok := walls[name]; ok {
		return french(fr)
	}
	return name
}

// Attacks are the names of those that have words in French.
func Attacks() (names []string) {
	for name := range attacks {
		names = append(names, name)
	}
	return names
}

const lifted = "envoyé avec les droits de l'hôte, pour voir que la protection suivante tient"

var attacks = map[string]struct{ name, about string }{
	"chroot break-out":        {"évasion de chroot", "remonter d'un chroot jusqu'aux fichiers de l'hôte"},
	"neighbour's disk":        {"disque du voisin", "ouvrir sur l'hôte le disque d'un autre site"},
	"root of a process":       {"racine d'un processus", "lire les fichiers de l'hôte par /proc/1/root et ses semblables"},
	"mount":                   {"montage", "monter un système de fichiers"},
	"cgroup mount":            {"montage des cgroups", "monter l'arbre des cgroups, pour release_agent ou une limite plus haute"},
	"fsopen":                  {"fsopen", "la manière plus récente de monter"},
	"unmount":                 {"démontage", "découvrir ce que petitpont cache dans /proc"},
	"remount":                 {"remontage", "rendre /proc/sys de nouveau inscriptible"},
	"pivot_root":              {"pivot_root", "changer de racine"},
	"device node":             {"nœud de périphérique", "fabriquer le nœud d'un disque ou d'une mémoire"},
	"device of its own":       {"périphérique à soi", "ouvrir un nœud placé sur son propre disque"},
	"host's devices":          {"périphériques de l'hôte", "disques et mémoires dans /dev"},
	"file in /dev":            {"fichier dans /dev", "mettre autre chose à la place de /dev/null"},
	"setuid program":          {"programme setuid", "devenir root par un fichier setuid"},
	"core_pattern":            {"core_pattern", "écrire les réglages de l'hôte dans /proc/sys"},
	"own settings":            {"ses propres réglages", "relever les nombres de ses espaces de noms dans /proc/sys"},
	"network settings":        {"réglages du réseau", "écrire dans /proc/sys/net : routage, annonces de routeur"},
	"sysrq":                   {"sysrq", "redémarrer par /proc/sysrq-trigger"},
	"write to /sys":           {"écriture dans /sys", "changer les objets du noyau"},
	"inside init":             {"dans l'init", "mémoire et descripteurs de petitpont-init"},
	"inside a session":        {"dans une session", "mémoire et descripteurs d'une session de fichiers"},
	"left descriptors":        {"descripteurs oubliés", "fichiers de l'hôte avec lesquels naît un programme"},
	"overwriting our program": {"écraser notre programme", "écrire le programme que petitpont envoie (CVE-2019-5736)"},
	"pages of the template":   {"pages du modèle", "changer un fichier commun à tous les sites : tubes, projections, mémoire, simple écriture"},

	"new user namespace": {"nouvel espace d'utilisateurs", "un espace de noms où l'on a tous les droits"},
	"unshare":            {"unshare", "de nouveaux espaces de noms, un par un"},
	"setns":              {"setns", "rejoindre des espaces de noms"},
	"clone3":             {"clone3", "des options d'espaces de noms qu'aucun filtre ne voit"},
	"ptrace":             {"ptrace", "tracer un autre programme"},
	"process_vm_readv":   {"process_vm_readv", "lire la mémoire d'un autre programme"},
	"pidfd_getfd":        {"pidfd_getfd", "prendre les descripteurs d'un autre programme"},
	"kcmp":               {"kcmp", "comparer les objets d'autres processus dans le noyau"},
	"load a module":      {"charger un module", "du code dans le noyau"},
	"kexec":              {"kexec", "un autre noyau"},
	"reboot":             {"redémarrage", "avec un nombre qui n'est pas le bon"},
	"clock":              {"horloge", "régler l'heure sur rien"},
	"swap":               {"swap", "ajouter un fichier d'échange"},
	"host name":          {"nom de la machine", "donner un autre nom à la machine"},
	"kernel log":         {"journal du noyau", "dmesg"},
	"file handles":       {"poignées de fichiers", "ouvrir un fichier par son numéro (l'évasion « shocker »)"},

	"bpf":                    {"bpf", "des programmes dans le noyau"},
	"io_uring":               {"io_uring", "du travail qui échappe au filtre"},
	"keyrings":               {"trousseaux de clés", "des clés qu'aucun espace de noms ne sépare"},
	"perf":                   {"perf", "les compteurs du processeur"},
	"userfaultfd":            {"userfaultfd", "arrêter le noyau sur une page"},
	"fanotify":               {"fanotify", "surveiller tout un système de fichiers"},
	"moving pages":           {"déplacement de pages", "où se trouve la mémoire d'autres programmes"},
	"asynchronous io":        {"entrées-sorties asynchrones", "un nombre que tout l'hôte partage"},
	"socket families":        {"familles de sockets", "AF_ALG, VSOCK, KEY, RXRPC, TIPC et 35 autres"},
	"packet socket":          {"socket de paquets", "des trames à volonté"},
	"netlink families":       {"familles de netlink", "netfilter, audit, xfrm, uevents"},
	"protocols":              {"protocoles", "SCTP, DCCP, MPTCP et d'autres dont le module se charge sur demande"},
	"raw socket":             {"socket brut", "des paquets IP à volonté"},
	"layers over sockets":    {"couches sur des sockets", "le TLS du noyau dans TCP, son ESP et son L2TP dans UDP"},
	"limits of init":         {"limites de l'init", "combien de descripteurs et de mémoire petitpont-init peut avoir"},
	"VLAN requests":          {"requêtes de VLAN", "une requête à un socket qui charge un pilote"},
	"shared pages":           {"pages partagées", "cachestat, vmsplice : ce que d'autres ont lu, des pages données"},
	"old memory calls":       {"vieux appels de mémoire", "remap_file_pages, modify_ldt"},
	"typing into a terminal": {"taper dans un terminal", "TIOCSTI, TIOCLINUX, TIOCSETD"},
	"personality":            {"personnalité", "des adresses qui ne sont plus tirées au hasard"},
	"other system calls":     {"autres appels système", "des appels par les numéros de 32 bits, à côté de la liste"},
	"modules for the asking": {"modules sur demande", "familles, protocoles, systèmes de fichiers, chiffres et disciplines de ligne par leur nom"},

	"kernel memory":            {"mémoire du noyau", "/proc/kcore"},
	"kernel addresses":         {"adresses du noyau", "/proc/kallsyms, modules, iomem, vmallocinfo"},
	"who else is busy":         {"qui d'autre travaille", "/proc/interrupts, diskstats, locks, timer_list, sched_debug"},
	"how the host was started": {"démarrage de l'hôte", "/proc/cmdline, config.gz, keys"},
	"other processes":          {"autres processus", "les processus de l'hôte dans /proc"},
	"files behind disks":       {"fichiers derrière les disques", "les noms des disques d'autres sites dans /sys"},
	"machine in /sys":          {"machine dans /sys", "micrologiciel, DMI, énergie, modules, caches slab"},
	"name of the host":         {"nom de l'hôte", "uname"},
	"place among cgroups":      {"place dans les cgroups", "/proc/self/cgroup nomme les dossiers de l'hôte"},
	"shared memory":            {"mémoire partagée", "segments SysV de l'hôte"},
	"sockets without a file":   {"sockets sans fichier", "sockets unix abstraits de l'hôte"},

	"neighbour's server":     {"serveur du voisin", "son serveur web en IPv4 et en IPv6, sans passer par le mandataire"},
	"host's services":        {"services de l'hôte", "un serveur à chaque adresse de l'hôte"},
	"host's services by UDP": {"services de l'hôte en UDP", "la même chose par datagrammes"},
	"closed addresses":       {"adresses fermées", "services de métadonnées, réseaux privés, serveurs de courrier"},
	"frame to the neighbour": {"trame au voisin", "une trame à la carte du voisin, sans passer par l'hôte"},
	"forged IPv6 address":    {"adresse IPv6 usurpée", "un datagramme de l'adresse du voisin, sans besoin d'aucun droit"},
	"forged IPv4 address":    {"adresse IPv4 usurpée", "la même chose en IPv4"},
	"forged MAC address":     {"adresse MAC usurpée", "une trame de la carte du voisin"},
	"forged ARP answer":      {"réponse ARP usurpée", "« l'adresse du voisin est la mienne »"},
	"forged router":          {"faux routeur", "une annonce de routeur à l'hôte et aux voisins"},

	"frame to the neighbour, unfiltered": {"trame au voisin, sans filtre", lifted},
	"forged IPv4 address, unfiltered":    {"adresse IPv4 usurpée, sans filtre", lifted},
	"forged MAC address, unfiltered":     {"adresse MAC usurpée, sans filtre", lifted},
	"forged ARP answer, unfiltered":      {"réponse ARP usurpée, sans filtre", lifted},
	"forged router, unfiltered":          {"faux routeur, sans filtre", lifted},

	"descriptors":        {"descripteurs", "plus de fichiers ouverts qu'un processus n'en peut avoir"},
	"terminals":          {"terminaux", "plus de terminaux qu'un site n'en peut avoir"},
	"watchers":           {"guetteurs", "plus d'instances d'inotify qu'un site n'en peut avoir"},
	"better scheduling":  {"meilleure priorité", "une priorité au-dessus des autres"},
	"processor time":     {"temps de processeur", "tous les cœurs à la fois"},
	"memory files":       {"fichiers en mémoire", "un tmpfs rempli à ras bord"},
	"inodes":             {"inodes", "plus de fichiers qu'un site n'en peut avoir"},
	"disk":               {"disque", "plus d'octets qu'un site n'en peut avoir"},
	"processes":          {"processus", "plus de fils d'exécution qu'un site n'en peut avoir"},
	"message queues":     {"files de messages", "plus d'octets dans des files POSIX qu'un utilisateur n'en peut avoir"},
	"SysV messages":      {"messages SysV", "des messages que personne ne retire, deux fois la mémoire du site"},
	"SysV semaphores":    {"sémaphores SysV", "des ensembles de sémaphores, deux fois la mémoire du site"},
	"SysV shared memory": {"mémoire partagée SysV", "des segments de deux fois la mémoire du site"},
	"memory":             {"mémoire", "deux fois la mémoire qu'un site peut avoir"},
}

var walls = map[string]string{
	"pivot_root": "pivot_root", "nodev": "nodev", "nosuid": "nosuid", "no_new_privs": "no_new_privs",
	"user namespace": "espace de noms des utilisateurs", "uts namespace": "espace de noms uts", "cgroup namespace": "espace de noms des cgroups",
	"ipc namespace": "espace de noms ipc", "network namespace": "espace de noms du réseau", "namespace ceilings": "plafonds des espaces de noms",
	"own /proc": "son propre /proc", "own /dev": "son propre /dev", "own layer": "sa propre couche", "read-only template": "modèle en lecture seule",
	"read-only /proc": "/proc en lecture seule", "read-only /sys": "/sys en lecture seule", "read-only /dev": "/dev en lecture seule",
	"masked /proc": "/proc masqué", "masked /sys": "/sys masqué",
	"hidden init": "init caché", "hidden sessions": "sessions cachées", "closed descriptors": "descripteurs fermés", "sealed programs": "programmes scellés",
	"rules of the host": "règles de l'hôte", "rules of the bridge": "règles du pont", "isolated ports": "ports isolés",
	"process limits": "limites des processus", "pty limit": "limite de terminaux", "limit of cpu": "limite de processeur", "limit of tmpfs": "limite de tmpfs",
	"limit of inodes": "limite d'inodes", "limit of disk": "limite de disque", "limit of processes": "limite de processus", "limit of memory": "limite de mémoire",
	"seccomp:mounts": "seccomp : montages", "seccomp:namespaces": "seccomp : espaces de noms", "seccomp:hidden flags": "seccomp : options cachées",
	"seccomp:tracing": "seccomp : traçage", "seccomp:machine": "seccomp : machine", "seccomp:surface": "seccomp : surface", "seccomp:bpf": "seccomp : bpf",
	"seccomp:io_uring": "seccomp : io_uring", "seccomp:keys": "seccomp : clés", "seccomp:shared numbers": "seccomp : nombres partagés",
	"seccomp:families": "seccomp : familles", "seccomp:protocols": "seccomp : protocoles",
	"seccomp:devices": "seccomp : périphériques", "seccomp:pages": "seccomp : pages", "seccomp:segments": "seccomp : segments",
	"seccomp:terminals": "seccomp : terminaux", "seccomp:personality": "seccomp : personnalité", "seccomp:foreign": "seccomp : autres numéros",
}
