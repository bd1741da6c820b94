package unshare

import (
	"petitpont/runtime/unshare/filter"
	"petitpont/runtime/unshare/stage"
)

// seccompFilters is the one program that every process of every site runs under (RULE K).
func seccompFilters(open []string) ([][]stage.Filter, error) {
	program, err := filter.Program(open...)
	return [][]stage.Filter{program}, err
}
