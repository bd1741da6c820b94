package network

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"text/template"
	"time"
)

//go:embed rules.nft
var rulesText string

var rulesTemplate = template.Must(template.New("rules.nft").Parse(rulesText))

// ruleSegment is a Segment as the rules see it.
type ruleSegment struct {
	Segment
	Policy
	Letter, Exit string
	Foreign      []string   // VLANs of other segments, for one that may leave by any interface
	Own          []ruleAddr // this host's addresses in the segment's VLAN, each with the block that leaves under it
	Open         []ruleAddr
	Closed       []ruleAddr
}

// ruleAddr is an address, a port of it or a block, with the word that nft has for its family.
type ruleAddr struct {
	Family string
	Addr   netip.Addr
	Port   uint16
	Prefix netip.Prefix
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "ip"
	}
	return "ip6"
}

// rules is the whole rule set of the instance, for the shards that stand.
func (n *Network) rules() (string, error) {
	data := struct {
		Name, MAC      string
		Segments       []ruleSegment
		VLANs          []string
		Fence4, Fence6 bool
		DNS            []ruleAddr
		Questions      int

		MarkPort, MarkHost string
		Closed4, Closed6   []string
	}{
		Closed4: closed4, Closed6: closed6, MarkPort: markPort, MarkHost: markHost, Name: n.instance, MAC: gatewayMAC(n.instance).String(), Questions: questions,
		Fence4: n.before.fenced("ipv4"), Fence6: n.before.fenced("ipv6"),
	}
	for _, a := range n.dns {
		data.DNS = append(data.DNS, ruleAddr{Family: family(a), Addr: a})
	}
	for _, v := range n.vlans {
		data.VLANs = append(data.VLANs, v.name)
	}
	for _, s := range n.segments {
		r := forRules(s, n.policies[s.Name])
		if r.Exit == "" {
			r.Foreign = data.VLANs
		}
		data.Segments = append(data.Segments, r)
	}
	var b bytes.Buffer
	if err := rulesTemplate.Execute(&b, data); err != nil {
		return "", fmt.Errorf("write rules: %w", err)
	}
	for sh := range n.shards {
		b.WriteString(n.shardRules(sh))
	}
	b.WriteString(n.budgetRules())
	return b.String(), nil
}

func forRules(s Segment, p Policy) ruleSegment {
	r := ruleSegment{Segment: s, Policy: p.withDefaults(), Letter: s.Name[:1], Exit: s.exit()}
	for _, own := range [][2]netip.Prefix{{s.V4, s.Address4}, {s.V6, s.Address6}} {
		if own[1].IsValid() {
			r.Own = append(r.Own, ruleAddr{Family: family(own[1].Addr()), Addr: own[1].Addr(), Prefix: own[0]})
		}
	}
	for _, o := range p.Open {
		r.Open = append(r.Open, ruleAddr{Family: family(o.Addr()), Addr: o.Addr(), Port: o.Port()})
	}
	for _, c := range p.Closed {
		r.Closed = append(r.Closed, ruleAddr{Family: family(c.Addr()), Prefix: c})
	}
	return r
}

// shardRules binds each slot of a shard to its port, MAC and addresses. All at once and ahead of need, because the
// names follow from the slot: an attach then changes no rule, which saves the 4 ms that each call of nft costs and
// leaves no moment in which a port is up without its rules. 1,000 slots take about 20 ms and 0.3 MB.
func (n *Network) shardRules(sh shard) string {
	var v4, v6 strings.Builder
	first := sh.n * shardSlots
	for slot := first; slot < first+shardSlots; slot++ {
		p := port{sh, slot}
		a := p.addr(n.instance)
		fmt.Fprintf(&v4, "%q . %s . %s,\n", p.link(n.instance), a.MAC, a.V4)
		fmt.Fprintf(&v6, "%q . %s . %s,\n", p.link(n.instance), a.MAC, a.V6)
	}
	return fmt.Sprintf("add element bridge %s port4 {\n%s}\nadd element bridge %s port6 {\n%s}\n",
		n.instance, v4.String(), n.instance, v6.String())
}

// nft applies commands in one transaction: all of them or none. n.mu is held, but while Open runs.
func (n *Network) nft(commands string) error {
	before, err := generation()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // 20 ms, but for a host that is drowning
	defer cancel()
	cmd := exec.CommandContext(ctx, program("nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(commands)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nft: %w: %s", err, firstLine(out))
	}
	return n.remember(before)
}

// checkName refuses an instance that is named like a word of nft's own language, as "ip" or "missing" is: names of tables
// cannot be quoted there, and which words there are differs between its versions. So nft itself is asked, without changing
// anything.
func (n *Network) checkName() error {
	if nftTakes(n.instance) || !nftTakes("x"+n.instance) { // the second: it takes nothing, and will say why
		return nil
	}
	return fmt.Errorf("instance %q: a word of nft's own language, in which its rules are written: choose another name", n.instance)
}

func nftTakes(table string) bool {
	cmd := exec.Command(program("nft"), "-c", "-f", "-")
	cmd.Stdin = strings.NewReader("add table inet " + table + "\n")
	return cmd.Run() == nil
}

// program finds a tool also where PATH has no sbin, as under sudo and some init systems.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
