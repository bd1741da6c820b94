package unshare

// SetFault makes the step with that label fail.
func (d *Driver) SetFault(f func(step string) error) { d.fault = f }
