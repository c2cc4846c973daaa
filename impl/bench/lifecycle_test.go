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

// lively are the contenders that have processes or tables, which must go.
func lively(dir string) ([]Contender, error) {
	all := []Contender{cContender()}
	balancers, err := Balancers(dir)
	for _, b := range balancers {
		all = append(all, b)
	}
	return all, err
}

// holdSite makes a site with a contender and load, says what there is, and waits to be
// killed. It is told which contender, where nginx has its files, and which program the C
// coordinator is.
func holdSite(told string) error {
	var which int
	var dir string
	if _, err := fmt.Sscan(told, &which, &dir, &programs.Coordinator); err != nil {
		return err
	}
	all, err := lively(dir)
	if err != nil {
		return err
	}
	s := DefaultSettings()
	if s.CoordinatorCPU, s.SurroundingsCPU, err = Processors(); err != nil {
		return err
	}
	site, err := NewSite(s)
	if err != nil {
		return err
	}
	c := all[which]
	running, err := c.Start(site)
	if err != nil {
		return err
	}
	around, err := Surround(site, c.Knows())
	if err != nil {
		return err
	}
	if _, err := site.receiver(site.coordinatorName, s.CoordinatorCPU); err != nil {
		return err
	}
	if err := around.Start(Work{}, time.Minute); err != nil {
		return err
	}
	fmt.Println(site.coordinatorName, site.outsideName, append(running.Processes(), 0)[0])
	time.Sleep(time.Minute)
	return errors.New("nobody killed the process")
}

// TestKill leaves nothing behind when the benchmark is killed.
func TestKill(t *testing.T) {
	all, err := lively(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := tables(t)
	for i, c := range all {
		t.Run(c.Name(), func(t *testing.T) { kill(t, i) })
	}
	if n := tables(t); n != before {
		t.Errorf("the machine has %d tables of its packet filter, and had %d", n, before)
	}
}

// kill has a process hold a site with one of the lively, and kills it.
func kill(t *testing.T, which int) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s", stayAlive, which, t.TempDir(), programs.Coordinator))
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
	if pid != 0 {
		await(t, "the contender's process ends", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
	}
	// They go with their namespace, and what else is in it.
	await(t, "both devices go", func() bool {
		return len(threadsNamed("napi/"+inside)) == 0 && len(threadsNamed("napi/"+outside)) == 0
	})
}

// TestClose leaves nothing behind either.
func TestClose(t *testing.T) {
	all, err := lively(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.Name(), func(t *testing.T) { closeAll(t, c) })
	}
}

func closeAll(t *testing.T, c Contender) {
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	running, err := c.Start(site)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.receiver(site.coordinatorName, 0); err != nil {
		t.Fatal(err)
	}
	pids, balancing := running.Processes(), 0
	count := func() error {
		balancing = tables(t)
		return nil
	}
	if err := site.Do(count); err != nil || c == (NFTables{}) != (balancing == 1) {
		t.Errorf("%d tables while %s runs (%v)", balancing, c.Name(), err)
	}
	if err := running.Close(); err != nil {
		t.Error(err)
	}
	if err := site.Do(count); err != nil || balancing != 0 {
		t.Errorf("%d tables are left (%v)", balancing, err)
	}
	site.Close()
	for _, pid := range pids {
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("the contender's process is still there: %v", err)
		}
	}
	await(t, "the device goes", func() bool { return len(threadsNamed("napi/"+site.coordinatorName)) == 0 })
}
