// SPDX-License-Identifier: Apache-2.0

package failpoint

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

var testPoint = New("test.point")

// TestMain is also the process that TestKill and TestStop have fail.
func TestMain(m *testing.M) {
	if action := os.Getenv("FAILPOINT_TEST"); action != "" {
		if err := Arm("test.point", Action(action)); err != nil {
			panic(err)
		}
		_ = testPoint.Hit() // Neither action returns an error.
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, action Action) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), Environment+"=1", "FAILPOINT_TEST="+string(action))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestKill(t *testing.T) {
	cmd := child(t, Kill)
	_ = cmd.Wait() // Its state says how it ended.
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v", cmd.ProcessState)
	}
}

func TestStop(t *testing.T) {
	cmd := child(t, Stop)
	var s syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(cmd.Process.Pid, &s, syscall.WUNTRACED, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid != cmd.Process.Pid {
			t.Fatal(pid, err)
		}
		break
	}
	if !s.Stopped() {
		t.Errorf("the process was not stopped: %v", s)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // Its state says how it ended.
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("the process went on to end with %d", code)
	}
}

func TestFailAndDelayHappenOnce(t *testing.T) {
	t.Setenv(Environment, "1")
	if err := Arm("test.point", Fail); err != nil {
		t.Fatal(err)
	}
	if err := testPoint.Hit(); err == nil || !strings.Contains(err.Error(), "test.point") {
		t.Errorf("an armed point returned %v", err)
	}
	if err := testPoint.Hit(); err != nil {
		t.Errorf("it did so twice: %v", err)
	}
	if err := Arm("test.point", Delay); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := testPoint.Hit(); err != nil || time.Since(begun) < delay {
		t.Errorf("a delay took %v and returned %v", time.Since(begun), err)
	}
}

func TestRefusals(t *testing.T) {
	if err := Arm("test.point", Kill); err == nil || !strings.Contains(err.Error(), Environment) {
		t.Errorf("armed without the variable: %v", err)
	}
	t.Setenv(Environment, "")
	for _, c := range []struct {
		name   string
		action Action
		want   string
	}{{"none.such", Kill, "test.point"}, {"test.point", "explode", "delay"}} {
		if err := Arm(c.name, c.action); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("arm %s with %q: %v", c.name, c.action, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was taken twice")
		}
	}()
	New("test.point")
}

func TestHandler(t *testing.T) {
	t.Setenv(Environment, "1")
	server := httptest.NewServer(Handler())
	defer server.Close()
	list := func() []Status {
		t.Helper()
		r, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var s []Status
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	post := func(name, action string) int {
		t.Helper()
		r, err := http.PostForm(server.URL, url.Values{"name": {name}, "action": {action}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	hits := list()[0].Hits
	if code := post("test.point", "fail"); code != http.StatusOK {
		t.Fatalf("arm: status %d", code)
	}
	if s := list()[0]; s.Name != "test.point" || s.Armed != Fail {
		t.Errorf("listed %+v", s)
	}
	if code := post("test.point", ""); code != http.StatusOK {
		t.Fatalf("disarm: status %d", code)
	}
	if err := testPoint.Hit(); err != nil {
		t.Errorf("a disarmed point: %v", err)
	}
	if s := list()[0]; s.Armed != "" || s.Hits != hits+1 {
		t.Errorf("listed %+v", s)
	}
	if code := post("none.such", "fail"); code != http.StatusBadRequest {
		t.Errorf("a name not known: status %d", code)
	}
}
