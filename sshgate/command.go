package sshgate

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"petitpont/site"
	"petitpont/views/i18n"
)

// command answers "ssh login@gate [words]". Nothing is executed: the gate knows a few words, and says which.
func (s *session) command() int {
	line := s.RawCommand()
	words, err := splitWords(line)
	switch {
	case err != nil:
		return s.usage(line)
	case len(words) == 0:
		return s.welcome()
	case words[0].text == "scp":
		return s.scp(words[1:])
	case words[0].text == "rsync":
		s.say(s.t("gate.rsync"))
		return exitUsage
	case len(words) > 1:
		return s.usage(line)
	}
	switch words[0].text {
	case "help":
		s.print(s.help())
	case "whoami":
		s.print(s.who.Login + "\n")
	case "sites":
		return s.listSites()
	default:
		return s.usage(line)
	}
	return exitDone
}

func (s *session) usage(line string) int {
	s.log.Info("ssh command refused", "command", printable(line))
	s.say(s.t("gate.no-command", i18n.Args{"x": printable(line)}))
	return exitUsage
}

// welcome is for a login without a command: what there is, and how to put files in it.
func (s *session) welcome() int {
	mine, err := s.shown()
	if err != nil {
		return s.fail(s.Context(), s.site, err)
	}
	name := s.who.Name
	if name == "" {
		name = s.who.Login
	}
	s.print(s.t("gate.hello", i18n.Args{"name": printable(name)}) + "\n\n")
	if len(mine) == 0 {
		s.print(s.t("gate.no-sites") + "\n")
	}
	s.print(s.table(mine) + "\n" + s.help())
	return exitDone
}

func (s *session) listSites() int {
	mine, err := s.shown()
	if err != nil {
		return s.fail(s.Context(), s.site, err)
	}
	s.print(s.table(mine))
	return exitDone
}

// shown is the site that was named with the login, or all of the person's.
func (s *session) shown() ([]site.Site, error) {
	if s.site == "" {
		return s.gate.Sites.Mine(s.Context(), s.who)
	}
	st, err := s.find(s.Context(), s.site)
	return []site.Site{st}, err
}

func (s *session) table(sites []site.Site) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, st := range sites {
		fmt.Fprintf(w, "%s\t%s\n", st.Name, s.t("gate.state."+stateWord(st)))
	}
	w.Flush()
	return text.String()
}

// stateWord is what pages call a state: asleep because somebody stopped it is "stopped".
func stateWord(st site.Site) string {
	if st.State == site.Asleep && st.Want == site.Down {
		return "stopped"
	}
	return string(st.State)
}

func (s *session) help() string {
	example := s.site
	if example == "" {
		if mine, err := s.gate.Sites.Mine(s.Context(), s.who); err == nil && len(mine) > 0 {
			example = names(mine)[0]
		}
	}
	if example == "" {
		example = s.t("gate.example")
	}
	return s.t("gate.help", i18n.Args{
		"sftp": s.gate.line("sftp", s.who.Login), "one": s.gate.line("sftp", s.who.Login+"+"+example),
		"scp": s.gate.line("scp -r", "* "+s.who.Login) + ":" + example + "/www/", "ssh": s.gate.line("ssh", s.who.Login), "s": example,
	}) + "\n"
}

// line is a command as people type it to reach this gate.
func (g *Gate) line(program, login string) string {
	if g.Port != 0 && g.Port != 22 {
		option := " -P "
		if program == "ssh" {
			option = " -p "
		}
		program += option + fmt.Sprint(g.Port)
	}
	return program + " " + login + "@" + g.Host
}
