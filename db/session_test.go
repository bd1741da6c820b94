package db

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

func TestSessions(t *testing.T) {
	ctx := context.Background()
	t.Run("stored, found, changed, deleted", func(t *testing.T) {
		s := fresh(t).Sessions()
		until := time.Now().Add(time.Hour)
		for _, text := range []string{"first", "second"} {
			if err := s.CommitCtx(ctx, "token", []byte(text), until); err != nil {
				t.Fatal(err)
			}
			if got, ok, err := s.FindCtx(ctx, "token"); err != nil || !ok || string(got) != text {
				t.Errorf("%q, %v, %v", got, ok, err)
			}
		}
		for range 2 {
			if err := s.DeleteCtx(ctx, "token"); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok, err := s.FindCtx(ctx, "token"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	})
	t.Run("an expired one is not found, and swept by the next", func(t *testing.T) {
		d := fresh(t)
		s := d.Sessions()
		now := time.Now()
		d.Now = func() time.Time { return now }
		if err := s.Commit("old", []byte("x"), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		if _, ok, err := s.Find("old"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		if all, err := s.All(); err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
		if err := s.Commit("new", []byte("x"), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		var n int64
		if err := d.orm.Model(&sessionRow{}).Count(&n).Error; err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	t.Run("the register does not hold the token, and what it holds opens nothing", func(t *testing.T) {
		d := fresh(t)
		s := d.Sessions()
		if err := s.Commit("secret-token", []byte("x"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		var r sessionRow
		if err := d.orm.Take(&r).Error; err != nil || strings.Contains(r.Token, "secret-token") {
			t.Fatalf("%q, %v", r.Token, err)
		}
		for _, stolen := range []string{r.Token, stored + r.Token} {
			if _, ok, err := s.Find(stolen); ok || err != nil {
				t.Errorf("%q: %v, %v", stolen, ok, err)
			}
		}
	})
}

// With scs itself: a visit keeps its session, and Iterate can end those of one person.
func TestSessionsWithSCS(t *testing.T) {
	m := scs.New()
	m.Store = fresh(t).Sessions()
	h := m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who := r.URL.Query().Get("who"); who != "" {
			m.Put(r.Context(), "who", who)
		}
		_, _ = w.Write([]byte(m.GetString(r.Context(), "who")))
	}))
	visit := func(path string, cookies []*http.Cookie) (string, []*http.Cookie) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Body.String(), w.Result().Cookies()
	}
	_, eleve := visit("/?who=eleve", nil)
	_, prof := visit("/?who=prof", nil)
	if who, _ := visit("/", eleve); who != "eleve" {
		t.Fatalf("the session holds %q", who)
	}
	err := m.Iterate(context.Background(), func(ctx context.Context) error {
		if m.GetString(ctx, "who") == "eleve" {
			return m.Destroy(ctx)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if who, _ := visit("/", eleve); who != "" {
		t.Errorf("the ended session still holds %q", who)
	}
	if who, _ := visit("/", prof); who != "prof" {
		t.Errorf("the other session holds %q", who)
	}
}
