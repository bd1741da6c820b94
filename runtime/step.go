package runtime

import "context"

// Step is a milestone of Create and Start that a person may watch.
type Step string

// The steps, in their order.
const (
	StepDisk    Step = "disk"    // Create: the disk is being made
	StepNetwork Step = "network" // Start: address and interfaces
	StepStart   Step = "start"   // Start: the services are being started
	StepAnswer  Step = "answer"  // Start: waiting for the first HTTP answer
)

type stepKey struct{}

// WithSteps returns a ctx whose Create and Start calls report each step as it begins. report must not block.
func WithSteps(ctx context.Context, report func(Step)) context.Context {
	return context.WithValue(ctx, stepKey{}, report)
}

// Report tells the watcher of ctx, if there is one, that a step begins. Drivers call it.
func Report(ctx context.Context, s Step) {
	if report, ok := ctx.Value(stepKey{}).(func(Step)); ok {
		report(s)
	}
}
