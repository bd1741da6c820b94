package sshgate

import (
	"errors"
	"strings"
)

// word is one word of a command. Text is what the person means; pattern is the same for path.Match, with what was
// quoted escaped, and "" where nothing is to be matched.
type word struct {
	text    string
	pattern string
}

var (
	errQuote = errors.New("a quote is not closed")
	errShell = errors.New("there is no shell here: quote ; | & < > ( ) $ ` and line breaks")
)

// splitWords cuts a command as sh does, for the part of sh that a file transfer needs: quotes, backslashes, blanks, and
// wildcards that somebody else expands. Whatever would run, join or substitute something is refused: no shell ever sees
// the text (S40).
func splitWords(line string) ([]word, error) {
	s := &splitter{rest: line}
	for s.rest != "" {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	s.end()
	return s.words, nil
}

type splitter struct {
	rest    string
	words   []word
	open    bool // inside a word, maybe an empty one
	wild    bool
	text    strings.Builder
	pattern strings.Builder
}

func (s *splitter) next() error {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch {
	case c == ' ' || c == '\t':
		s.end()
	case c == '\'':
		return s.single()
	case c == '"':
		return s.double()
	case c == '\\':
		if s.rest == "" || s.rest[0] == '\n' {
			return errShell
		}
		s.literal(s.rest[0])
		s.rest = s.rest[1:]
	case strings.IndexByte(";|&<>()$`\n\r\x00", c) >= 0, c == '#' && !s.open:
		return errShell
	case strings.IndexByte("*?[]", c) >= 0:
		s.wild, s.open = s.wild || c != ']', true
		s.text.WriteByte(c)
		s.pattern.WriteByte(c)
	default:
		s.literal(c)
	}
	return nil
}

func (s *splitter) single() error {
	inside, rest, closed := strings.Cut(s.rest, "'")
	if !closed {
		return errQuote
	}
	s.open, s.rest = true, rest
	for i := range len(inside) {
		s.literal(inside[i])
	}
	return nil
}

func (s *splitter) double() error {
	s.open = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return nil
		case c == '$' || c == '`':
			return errShell
		case c == '\\' && i+1 < len(s.rest) && strings.IndexByte("\"\\$`", s.rest[i+1]) >= 0:
			i++
			s.literal(s.rest[i])
		default:
			s.literal(c)
		}
	}
	return errQuote
}

func (s *splitter) literal(c byte) {
	s.open = true
	s.text.WriteByte(c)
	if strings.IndexByte(`*?[]\`, c) >= 0 {
		s.pattern.WriteByte('\\')
	}
	s.pattern.WriteByte(c)
}

func (s *splitter) end() {
	if s.open {
		w := word{text: s.text.String()}
		if s.wild {
			w.pattern = s.pattern.String()
		}
		s.words = append(s.words, w)
	}
	s.text.Reset()
	s.pattern.Reset()
	s.open, s.wild = false, false
}
