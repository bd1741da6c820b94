package remote

import (
	"context"
	"fmt"

	"petitpont/runtime"
)

var _ runtime.Keeper = (*Client)(nil)

// Versions lists every version of every template. See runtime.Keeper.
func (c *Client) Versions(ctx context.Context) ([]runtime.Version, error) {
	a, err := c.call(ctx, request{Call: "versions"})
	return a.Versions, err
}

// BuildTemplate makes a new version, and reports how far it is. The end of ctx ends the build. See runtime.Keeper.
func (c *Client) BuildTemplate(ctx context.Context, name string) (runtime.Version, error) {
	a, err := c.call(ctx, request{Call: "build-template", Template: name})
	if err != nil || len(a.Versions) != 1 {
		return runtime.Version{}, err
	}
	return a.Versions[0], nil
}

// TestTemplate tries a version, and reports how far it is. See runtime.Keeper.
func (c *Client) TestTemplate(ctx context.Context, name, version string) error {
	_, err := c.call(ctx, request{Call: "test-template", Template: name, Version: version})
	return err
}

// PublishTemplate lets new sites have a version. See runtime.Keeper.
func (c *Client) PublishTemplate(ctx context.Context, name, version string) error {
	_, err := c.call(ctx, request{Call: "publish-template", Template: name, Version: version})
	return err
}

// RetireTemplate removes a version. See runtime.Keeper.
func (c *Client) RetireTemplate(ctx context.Context, name, version string) error {
	_, err := c.call(ctx, request{Call: "retire-template", Template: name, Version: version})
	return err
}

// Move pins a container to another version. See runtime.Keeper.
func (c *Client) Move(ctx context.Context, id, version string) error {
	_, err := c.call(ctx, request{Call: "move", ID: id, Version: version})
	return err
}

// keeping runs a simple call of a driver that keeps templates; others answer that they do not.
func keeping(f func(*call, context.Context, runtime.Keeper) (answer, error)) func(*call, context.Context) error {
	return simple(func(c *call, ctx context.Context) (answer, error) {
		k, ok := c.driver().(runtime.Keeper)
		if !ok {
			return answer{}, fmt.Errorf("%w: this runtime keeps no templates", runtime.ErrInvalid)
		}
		ctx = runtime.WithBuild(ctx, func(b runtime.Build) { _ = c.wire.write(answer{V: Version, Build: &b}) })
		return f(c, ctx, k)
	})
}

func (c *call) versions(ctx context.Context, k runtime.Keeper) (answer, error) {
	all, err := k.Versions(ctx)
	return answer{Versions: all}, err
}

func (c *call) buildTemplate(ctx context.Context, k runtime.Keeper) (answer, error) {
	built, err := k.BuildTemplate(ctx, c.Template)
	return answer{Versions: []runtime.Version{built}}, err
}

func (c *call) testTemplate(ctx context.Context, k runtime.Keeper) (answer, error) {
	return answer{}, k.TestTemplate(ctx, c.Template, c.Version)
}

func (c *call) publishTemplate(ctx context.Context, k runtime.Keeper) (answer, error) {
	return answer{}, k.PublishTemplate(ctx, c.Template, c.Version)
}

func (c *call) retireTemplate(ctx context.Context, k runtime.Keeper) (answer, error) {
	return answer{}, k.RetireTemplate(ctx, c.Template, c.Version)
}

func (c *call) move(ctx context.Context, k runtime.Keeper) (answer, error) {
	return answer{}, k.Move(ctx, c.ID, c.Version)
}
