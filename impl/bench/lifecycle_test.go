// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holdSite makes a site with a C coordinator and load, says what there is, and
// waits to be killed.
func holdSite() error {
	s := DefaultSettings()
	var err error
	if s.CoordinatorCPU, s.SurroundingsCPU, err = Processors(); err != nil {
		return err
	}
	site, err := NewSite(s)
	if err != nil {
		return err
	}
	c := Process{Label: "c", Path: os.Getenv(stayAlive)}
	running, err := c.Start(site)
	if err != nil {
		return err
	}
	around, err := Surround(site, true)
	if err != nil {
		return err
	}
	if _, err := site.receiver(site.coordinatorName, s.CoordinatorCPU); err != nil {
		return err
	}
	if err := around.Start(mixed, time.Minute); err != nil {
		return err
	}
	fmt.Println(site.coordinatorName, site.outsideName, running.Processes()[0])
	time.Sleep(time.Minute)
	return errors.New("nobody killed the process")
}

// TestKill leaves nothing behind when the benchmark is killed.
func TestKill(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), stayAlive+"="+programs.Coordinator)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var inside, outside string
	var pid int
	if _, err := fmt.Sscan(line, &inside, &outside, &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if n := len(threadsNamed("napi/" + inside)); n != 1 {
		t.Fatalf("%d threads receive before the kill", n)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("Wait() = %v", err)
	}
	await(t, "the coordinator's process ends", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
	await(t, "both devices go", func() bool {
		return len(threadsNamed("napi/"+inside)) == 0 && len(threadsNamed("napi/"+outside)) == 0
	})
}

// TestClose leaves nothing behind either.
func TestClose(t *testing.T) {
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	running, err := cContender().Start(site)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.receiver(site.coordinatorName, 0); err != nil {
		t.Fatal(err)
	}
	pid := running.Processes()[0]
	if err := running.Close(); err != nil {
		t.Error(err)
	}
	site.Close()
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the coordinator's process is still there: %v", err)
	}
	await(t, "the device goes", func() bool { return len(threadsNamed("napi/"+site.coordinatorName)) == 0 })
}
