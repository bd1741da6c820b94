package sshgate

func (s *session) scp(args []word) int { s.say(s.t("gate.rsync")); return exitUsage }
