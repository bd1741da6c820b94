package network

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// Budget is what one site may spend, instead of what its segment's policy says; zero fields follow the policy.
type Budget struct {
	Rate        int // new connections a second; at once, after some quiet, four seconds' worth
	Connections int // open at a time, counted from those that are opened after the change
}

// ruleBudget is the budget of some sites of a segment as the rules see it.
type ruleBudget struct {
	Letter                   string
	Rate, Burst, Connections int
}

// Name tells budgets apart in the rules.
func (r ruleBudget) Name() string {
	return fmt.Sprintf("%s_%d_%d_%d", r.Letter, r.Rate, r.Burst, r.Connections)
}

// Limit holds the site of a slot to a budget from now on, also while it is attached: one transaction, in which no packet
// is without one. Saying again what holds costs nothing. Sites that follow the policy need no call.
func (n *Network) Limit(segment string, slot int, b Budget) error {
	p, err := n.port(segment, slot)
	if err == nil && (b.Rate < 0 || b.Rate > maxPolicy || b.Connections < 0 || b.Connections > maxPolicy) {
		err = errPolicyRange
	}
	if err == nil {
		err = n.limit(p, b)
	}
	if err != nil {
		return fmt.Errorf("limit slot %d of %s: %w", slot, segment, err)
	}
	return nil
}

func (n *Network) limit(p port, b Budget) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.budgets[p]
	if was == b {
		return nil
	}
	n.remind(p, b)
	if err := n.nft(n.spend(p, was, b)); err != nil { // by rules that somebody else has changed, for one
		if err := n.reload(); err != nil {
			n.remind(p, was)
			return err
		}
	}
	if err := n.relabel(p, b); err != nil {
		n.remind(p, was) // or the next call would find nothing to do
		return err
	}
	return nil
}

func (n *Network) remind(p port, b Budget) {
	if b == (Budget{}) {
		delete(n.budgets, p)
	} else {
		n.budgets[p] = b
	}
}

// spend is the change of one site's budget as commands. n.budgets has the new one already.
func (n *Network) spend(p port, was, b Budget) string {
	var text strings.Builder
	mac := p.addr(n.instance).MAC
	if was != (Budget{}) {
		fmt.Fprintf(&text, "delete element inet %s budget { %s }\n", n.instance, mac)
		if old := n.ruleBudget(p, was); !n.spent(old) { // nobody's any more: a caller may ask for ever new ones (RULE SPLIT)
			text.WriteString(old.removal(n.instance))
		}
	}
	if b != (Budget{}) {
		r := n.ruleBudget(p, b)
		text.WriteString(r.chain(n.instance))
		fmt.Fprintf(&text, "add element inet %s budget { %s : goto own_%s }\n", n.instance, mac, r.Name())
	}
	return text.String()
}

// spent tells whether a site has this budget.
func (n *Network) spent(r ruleBudget) bool {
	for p, b := range n.budgets {
		if n.ruleBudget(p, b) == r {
			return true
		}
	}
	return false
}

// ruleBudget fills what is zero from the segment's policy.
func (n *Network) ruleBudget(p port, b Budget) ruleBudget {
	policy := n.policies[p.Name].withDefaults()
	r := ruleBudget{Letter: p.Name[:1], Rate: policy.Rate, Burst: policy.Burst, Connections: policy.Connections}
	if b.Rate != 0 {
		r.Rate, r.Burst = b.Rate, 4*b.Rate
	}
	if b.Connections != 0 {
		r.Connections = b.Connections
	}
	return r
}

// chain is what sites of this budget pass for each new connection. It can be loaded again: what they have spent stays.
func (r ruleBudget) chain(instance string) string {
	return fmt.Sprintf(`add set inet %[1]s fresh_%[2]s { type ether_addr; size 65535; flags dynamic,timeout; timeout 1m; }
add set inet %[1]s held_%[2]s { type ether_addr; size 65535; flags dynamic; }
add chain inet %[1]s own_%[2]s
flush chain inet %[1]s own_%[2]s
add rule inet %[1]s own_%[2]s update @fresh_%[2]s { ether saddr limit rate over %[4]d/second burst %[5]d packets } counter drop
add rule inet %[1]s own_%[2]s add @held_%[2]s { ether saddr ct count over %[6]d } counter reject with icmpx type admin-prohibited
add rule inet %[1]s own_%[2]s goto where_%[3]s
`, instance, r.Name(), r.Letter, r.Rate, r.Burst, r.Connections)
}

// removal takes the chain away, with what was spent of it.
func (r ruleBudget) removal(instance string) string {
	return fmt.Sprintf(`flush chain inet %[1]s own_%[2]s
delete chain inet %[1]s own_%[2]s
delete set inet %[1]s fresh_%[2]s
delete set inet %[1]s held_%[2]s
`, instance, r.Name())
}

// budgetRules are those of all sites that have a budget of their own.
func (n *Network) budgetRules() string {
	var text strings.Builder
	for p, b := range n.budgets {
		text.WriteString(n.spend(p, Budget{}, b))
	}
	return text.String()
}

// relabel writes the budget to the link, where the next process finds it. No link is fine: Attach writes it.
func (n *Network) relabel(p port, b Budget) error {
	link, err := n.host.LinkByName(p.link(n.instance))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	lb, ok := parseLabel(link.Attrs().Alias)
	if !ok || !n.isPort(link) {
		return nil
	}
	lb.Budget = b
	return n.host.LinkSetAlias(link, lb.String())
}

// recall reads the budgets of the sites that are attached, before the first rules are loaded.
func (n *Network) recall(links []netlink.Link) {
	for _, l := range links {
		lb, ok := parseLabel(l.Attrs().Alias)
		if !ok || !n.isPort(l) || lb.Budget == (Budget{}) {
			continue
		}
		if p, err := n.port(lb.segment, lb.slot); err == nil {
			n.budgets[p] = lb.Budget
		}
	}
}
