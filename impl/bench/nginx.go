// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/protocol"
)

// ErrNginx is returned when nginx is not where scripts/setup puts it.
var ErrNginx = errors.New("nginx with its stream module is missing")

// Nginx is nginx's stream module as a balancer of UDP, in one process. It binds a client's
// address to a replica, with a socket of its own, and keeps that as long as the client goes
// on: to bind anew for each read (proxy_responses 1) would be a new socket each time.
type Nginx struct {
	// Program and Module are nginx and its stream module, and Release the version of the
	// package that they are from.
	Program, Module, Release string
	// Dir is where it has its configuration.
	Dir string
}

// FindNginx finds the nginx that scripts/setup unpacks from Debian's packages. The working
// directory must be in the source tree.
func FindNginx(dir string) (Nginx, error) {
	root, err := sourceRoot()
	if err != nil {
		return Nginx{}, err
	}
	at := filepath.Join(root, "build", "tools", "nginx")
	n := Nginx{Program: filepath.Join(at, "usr", "sbin", "nginx"), Module: filepath.Join(at, "usr", "lib", "nginx", "modules", "ngx_stream_module.so")}
	release, err := os.ReadFile(filepath.Join(at, "version"))
	if err != nil {
		return Nginx{}, fmt.Errorf("%w: scripts/setup test unpacks it from Debian's packages, and bench --balancers=false does without: %w", ErrNginx, err)
	}
	n.Release = strings.TrimSpace(string(release))
	// It takes relative paths for those of its own folder.
	n.Dir, err = filepath.Abs(dir)
	return n, err
}

// Name implements Contender.
func (Nginx) Name() string { return "nginx" }

// Knows implements Contender.
func (Nginx) Knows() Knowledge { return Nothing }

// Version implements Balancer.
func (n Nginx) Version() (string, error) { return "nginx " + n.Release, nil }

// Start implements Contender.
func (n Nginx) Start(site *Site) (Running, error) {
	if err := site.Settings.fitSockets(); err != nil {
		return nil, err
	}
	path := filepath.Join(n.Dir, "nginx.conf")
	if err := errors.Join(os.MkdirAll(n.Dir, 0o755), os.WriteFile(path, []byte(n.configuration(site.Settings)), 0o644)); err != nil {
		return nil, fmt.Errorf("configure nginx: %w", err)
	}
	r := &runningProcess{}
	err := site.Do(func() error {
		var err error
		// Without an XDP program a veth device has no thread to receive for it.
		if r.pass, err = bpf.AttachPass(site.Coordinator); err != nil {
			return err
		}
		r.command, err = n.start(path)
		return err
	})
	if err == nil {
		pid := r.command.Process.Pid
		err = errors.Join(pin(pid, site.Settings.CoordinatorCPU), widen(pid))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start nginx: %w", err), r.Close())
	}
	return r, nil
}

// configuration is that of one process, which takes all that is there when it is woken.
func (n Nginx) configuration(s Settings) string {
	var servers strings.Builder
	for _, m := range s.members() {
		fmt.Fprintf(&servers, "\t\tserver %s max_fails=0;\n", hostPort(m.Address))
	}
	// A client has a connection, and so has the replica that it is bound to.
	return fmt.Sprintf(`daemon off;
master_process off;
load_module %q;
pid %q;
error_log /dev/stdout notice;
events {
	use epoll;
	multi_accept on;
	worker_connections %d;
}
stream {
	upstream replicas {
%s	}
	server {
		listen %s udp;
		proxy_pass replicas;
		proxy_timeout 1m;
	}
}
`, n.Module, filepath.Join(n.Dir, "nginx.pid"), 2*s.Lanes+64, servers.String(), hostPort(self()))
}

// start starts nginx, which the kernel kills when the calling thread ends.
func (n Nginx) start(configuration string) (*exec.Cmd, error) {
	command := exec.Command(n.Program, "-e", "stderr", "-p", n.Dir, "-c", configuration)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ready := func(line string) bool { return strings.Contains(line, "[notice]") }
	if err := StartReady(command, (*exec.Cmd).Start, ready, 5*time.Second); err != nil {
		return nil, err
	}
	return command, nil
}

// widen gives the socket by which a process takes requests buffers as large as those of
// other coordinators. It could not ask for more than the machine lets everybody have,
// which usually is room for 50 frames.
func widen(pid int) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("look at the sockets of process %d: %w", pid, err)
	}
	defer unix.Close(process)
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return fmt.Errorf("look at the sockets of process %d: %w", pid, err)
	}
	for _, path := range files {
		number, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		fd, err := unix.PidfdGetfd(process, number, 0)
		if err != nil {
			continue
		}
		mine, err := isAt(fd, self()), error(nil)
		if mine {
			const buffer = 8 << 20
			err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, buffer))
		}
		if err = errors.Join(err, unix.Close(fd)); mine || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d has no socket at %s", pid, hostPort(self()))
}

// isAt says whether a file is a socket of an address.
func isAt(fd int, a protocol.Address) bool {
	at, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	inet, ok := at.(*unix.SockaddrInet4)
	return ok && inet.Addr == a.IP && inet.Port == int(a.Port)
}
