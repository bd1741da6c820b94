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
