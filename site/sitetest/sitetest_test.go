package sitetest_test

import (
	"testing"

	"petitpont/site"
	"petitpont/site/sitetest"
)

func TestStore(t *testing.T) {
	sitetest.TestStore(t, func(*testing.T) site.Store { return sitetest.NewStore() })
}
