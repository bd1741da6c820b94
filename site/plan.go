package site

import (
	"time"

	"petitpont/runtime"
)

// Plans says what each role may have. A role that is not in it may have no site.
type Plans map[Role]Plan

// DefaultPlans are used where the configuration says nothing else: three sites for a student.
func DefaultPlans() Plans {
	student := Plan{
		Sites:   3,
		Idle:    15 * time.Minute,
		Segment: string(Student),
		Limits:  runtime.Limits{Disk: 1 << 30, Inodes: 100_000, Memory: 256 << 20, CPU: 1000, Procs: 128},
	}
	teacher := student
	teacher.Sites, teacher.Segment = 10, string(Teacher)
	teacher.Limits.Memory = 512 << 20
	association := teacher
	association.Sites, association.Segment = 5, string(Association)
	return Plans{Student: student, Teacher: teacher, Association: association}
}

// offers are the stacks that can be asked for. The template holds them all: a stack only chooses what runs.
var offers = []Stack{
	{Template: "web", Server: "nginx", Language: "php", Database: "none"},
	{Template: "web", Server: "nginx", Language: "none", Database: "none"},
}

// Offers lists the stacks a create form can show, the usual one first.
func Offers() []Stack { return append([]Stack(nil), offers...) }

// services are what runs of a stack, in start order.
func (s Stack) services() []string {
	var all []string
	if s.Language == "php" {
		all = append(all, "php")
	}
	return append(all, s.Server)
}

// spec is the container of a site.
func (s Site) spec(p Plan) runtime.Spec {
	return runtime.Spec{
		ID:       string(s.ID),
		Template: s.Stack.Template,
		Slot:     s.Slot,
		Segment:  p.Segment,
		Hostname: s.Name,
		Services: s.Stack.services(),
		Limits:   p.Limits,
	}
}
