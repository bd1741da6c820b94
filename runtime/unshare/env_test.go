package unshare

import (
	"testing"
)

func TestServicesAreToldTheNewEnvironmentAtTheNextStart(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Env = []string{"COLOUR=red"}
	addr := r.running(t, s)
	r.sh(t, s.ID, `echo '<?php echo "COLOUR=" . getenv("COLOUR");' > /home/site/www/colour.php`, false)
	told := func() string {
		_, body := get(t, addr.String(), "/colour.php", nil)
		return body
	}
	if got := told(); !contains(got, "COLOUR=red") {
		t.Fatalf("PHP was told %q", got)
	}
	if err := r.SetEnv(t.Context(), s.ID, []string{"COLOUR=blue"}); err != nil {
		t.Fatal(err)
	}
	if got := told(); !contains(got, "COLOUR=red") || contains(got, "blue") {
		t.Errorf("what runs was told %q", got)
	}
	if err := r.Stop(t.Context(), s.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.start(t, s.ID)
	if got := told(); !contains(got, "COLOUR=blue") || contains(got, "red") {
		t.Errorf("after a start it was told %q", got)
	}
	t.Run("and it is still so for the next process", func(t *testing.T) {
		if err := r.SetEnv(t.Context(), s.ID, []string{"COLOUR=green"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r.reopen(t, r.Config)
		all, err := r.List(t.Context())
		if err != nil || len(all) != 1 || !all[0].Waits {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
