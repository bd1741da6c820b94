package site

import "petitpont/runtime"

// TakeExit lets a test tell of an end that no driver tells.
func (v *Service) TakeExit(x runtime.Exit) { v.takeExit(x) }
