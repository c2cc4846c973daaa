// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"dalio/impl/load"
	"dalio/traces"
)

// Redis is a primary with two replicas. Each write is followed by WAIT 2 in the same
// round trip, and reads go to the primary.
type Redis struct {
	// Disk has each of the three append each write to its file, and fsync, before the
	// primary answers. WAIT does not wait for the replicas' files.
	Disk bool
}

// Name implements System.
func (r Redis) Name() string {
	if r.Disk {
		return "redis_wait_disk"
	}
	return "redis_wait"
}

// Promise implements System.
func (r Redis) Promise() string {
	if r.Disk {
		return "on the primary's disk and in the memory of 2 replicas (appendfsync always, WAIT 2); not linearizable"
	}
	return "in the memory of all 3 (WAIT 2); not linearizable"
}

// Start implements System.
func (r Redis) Start(ctx context.Context, dir string) (Running, error) {
	ports, err := freePorts(copies)
	if err != nil {
		return nil, err
	}
	// It would tell of each attempt to connect to a server that does not listen yet.
	redis.SetLogger(&logging.VoidLogger{})
	running := &runningRedis{}
	for i, port := range ports {
		if err := running.member(filepath.Join(dir, strconv.Itoa(i)), port, ports[0], r.Disk); err != nil {
			return nil, errors.Join(err, running.Close())
		}
	}
	running.client = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", ports[0]), PoolSize: maxClients, MaxRetries: -1})
	err = await(ctx, "redis: two replicas have not joined", func(ctx context.Context) error {
		n, err := running.client.Do(ctx, "WAIT", copies-1, 1).Int()
		if err == nil && n < copies-1 {
			err = fmt.Errorf("%d replicas are there", n)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, running.Close())
	}
	return running, nil
}

type runningRedis struct {
	processes
	client *redis.Client
}

func (r *runningRedis) member(dir string, port, primary int, disk bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for redis: %w", err)
	}
	appendOnly := "no"
	if disk {
		appendOnly = "yes"
	}
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--appendonly", appendOnly,
		"--appendfsync", "always", "--repl-diskless-sync-delay", "0"}
	if port != primary {
		args = append(args, "--replicaof", "127.0.0.1 "+strconv.Itoa(primary))
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		// Debian has one program under both names, and this one's package starts no service.
		if path, err = exec.LookPath("redis-check-rdb"); err != nil {
			return errors.New("no redis-server: install redis-tools")
		}
	}
	command := exec.Command(path, args...)
	command.Args[0] = "redis-server"
	return r.start(command, filepath.Join(dir, "log"))
}

// Clients implements Running.
func (r *runningRedis) Clients(_ context.Context, n int) ([]load.Client, error) {
	clients := make([]load.Client, n)
	for i := range clients {
		clients[i] = redisClient{r.client}
	}
	return clients, nil
}

// Close implements Running.
func (r *runningRedis) Close() error {
	var err error
	if r.client != nil {
		err = r.client.Close()
	}
	return errors.Join(err, r.processes.Close())
}

type redisClient struct{ client *redis.Client }

// Do implements load.Client.
func (c redisClient) Do(ctx context.Context, f, key, value string) load.Answer {
	switch f {
	case traces.Read:
		text, err := c.client.Get(ctx, key).Result()
		if errors.Is(err, redis.Nil) {
			return load.Answer{Outcome: traces.OK}
		}
		return answer(err, load.Answer{Value: text, Found: true})
	case traces.Write:
		return c.replicated(ctx, func(p redis.Pipeliner) { p.Set(ctx, key, value, 0) })
	}
	return c.replicated(ctx, func(p redis.Pipeliner) { p.Del(ctx, key) })
}

// replicated waits until the replicas have what is written, on the same connection.
func (c redisClient) replicated(ctx context.Context, write func(redis.Pipeliner)) load.Answer {
	var wait *redis.Cmd
	_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		write(p)
		wait = p.Do(ctx, "WAIT", copies-1, time.Second.Milliseconds())
		return nil
	})
	if err == nil {
		var n int
		if n, err = wait.Int(); err == nil && n < copies-1 {
			err = fmt.Errorf("%d of %d replicas acknowledged it", n, copies-1)
		}
	}
	return answer(err, load.Answer{})
}

// answer says of an operation that ended with an error that nobody knows what became
// of it, which is never wrong.
func answer(err error, a load.Answer) load.Answer {
	if err != nil {
		return load.Answer{Outcome: traces.Info, Err: err}
	}
	a.Outcome = traces.OK
	return a
}
