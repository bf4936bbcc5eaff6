// dial_node.py in Go, linked statically: it makes its own system calls.
package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	lock  sync.Mutex
	up    = map[string]bool{}
	received = map[string]int{}
)

func serve(address string, answer func(net.Conn)) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	for {
		if conn, err := listener.Accept(); err == nil {
			go func() { answer(conn); conn.Close() }()
		}
	}
}

func ask(name, address string) bool {
	conn, err := net.DialTimeout("tcp", address, 500*time.Millisecond)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	conn.Write([]byte(name + "\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	time.Sleep(100 * time.Millisecond)
	return line == "yes\n"
}

func main() {
	name, host := os.Args[1], os.Args[2]
	for _, word := range os.Args[5:] {
		peer, address, _ := strings.Cut(word, "=")
		up[peer], received[peer] = false, 0
		go func() {
			for {
				answered := ask(name, address)
				lock.Lock()
				up[peer] = answered
				lock.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
	go serve(host+":"+os.Args[3], func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if caller := strings.TrimSpace(line); caller != "" {
			lock.Lock()
			received[caller]++
			lock.Unlock()
			conn.Write([]byte("yes\n"))
		}
	})
	serve(host+":"+os.Args[4], func(conn net.Conn) {
		lock.Lock()
		defer lock.Unlock()
		json.NewEncoder(conn).Encode(map[string]any{"up": up, "received": received})
	})
}
