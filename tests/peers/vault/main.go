// SPDX-License-Identifier: Apache-2.0

// A Vault server with only the parts that the tests use: the core and its HTTP API of the pinned release, the KV and
// transit engines, and the approle, cert, kubernetes and userpass logins.  The program of the release links every
// plugin and storage there is, and takes several times as long to build.
//
//	vault -listen HOST:PORT [-storage DIR [-raft NODE -cluster HOST:PORT [-redirect]]] [-cert FILE -key FILE] [-root TOKEN]
//
// Without -storage everything is in memory; with -raft the storage is that of a cluster, of which NODE is this server's
// name and -cluster where it listens to the others: start the first, initialise and unseal it, let the others join it by
// sys/storage/raft/join, and unseal them.  A standby forwards what it is asked; with -redirect it sends its clients to the
// leader, as one does that cannot forward.  With -root the server initialises and unseals itself, and that token is
// the root token; without, the HTTP API does it, as with any Vault.  "ready HOST:PORT" on stdout says that it listens.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	log "github.com/hashicorp/go-hclog"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/physical/raft"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// The plugin catalogue: nothing but what is linked in.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool { return false }

func (registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}

func (registry) Keys(kind consts.PluginType) []string { return nil }

func (registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func storage(dir, node string, logger log.Logger) (physical.Backend, error) {
	if dir == "" {
		return inmem.NewInmem(nil, logger)
	}
	if node != "" {
		// Elections, and taking in a new server, shall be matters of a few seconds.
		return raft.NewRaftBackend(map[string]string{
			"path": dir, "node_id": node, "performance_multiplier": "1",
			"autopilot_reconcile_interval": "500ms", "autopilot_update_interval": "500ms",
		}, logger)
	}
	return file.NewFileBackend(map[string]string{"path": dir}, logger)
}

// Initialise, unseal and make token a root token.
func start(core *vault.Core, token string) error {
	ctx := context.Background()
	shares := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: shares, RecoveryConfig: shares})
	if err != nil {
		return err
	}
	if open, err := core.Unseal(made.SecretShares[0]); err != nil || !open {
		return fmt.Errorf("it does not unseal: %v", err)
	}
	if token == made.RootToken {
		return nil
	}
	// Right after the unsealing the expiry of leases is still being restored.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		reply, err := core.HandleRequest(namespace.RootContext(ctx), &logical.Request{
			Operation:   logical.UpdateOperation,
			ClientToken: made.RootToken,
			Path:        "auth/token/create",
			Data: map[string]interface{}{
				"id": token, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true,
			},
		})
		if err == nil && !reply.IsError() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no root token: %v", err)
		}
	}
}

// Make the core one of a cluster: it listens to the others, and serves what they forward.
func joinable(core *vault.Core, addr string) error {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	core.SetClusterListenerAddrs([]*net.TCPAddr{tcp})
	core.SetClusterHandler(vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}))
	return nil
}

// Raft refuses to be set up without forwarding, but every request may refuse it.
func redirecting(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set(vaulthttp.NoRequestForwardingHeaderName, "true")
		handler.ServeHTTP(w, r)
	})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8200", "address")
	dir := flag.String("storage", "", "folder of the storage")
	node := flag.String("raft", "", "this server's name in a cluster")
	cluster := flag.String("cluster", "", "address for the others of the cluster")
	redirect := flag.Bool("redirect", false, "forward no request to the leader")
	certFile := flag.String("cert", "", "TLS certificate")
	keyFile := flag.String("key", "", "TLS key")
	root := flag.String("root", "", "initialise, unseal, and use this root token")
	flag.Parse()

	logger := log.New(&log.LoggerOptions{Name: "vault", Level: log.Warn, Output: os.Stderr})
	scheme := "http"
	if *certFile != "" {
		scheme = "https"
	}
	store, err := storage(*dir, *node, logger)
	fatal(err)
	config := &vault.CoreConfig{
		Physical:        store,
		StorageType:     "file",
		DisableMlock:    true,
		Logger:          logger,
		BuiltinRegistry: registry{},
		AuditBackends:   map[string]audit.Factory{},
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{
			"approle": approle.Factory, "cert": cert.Factory, "kubernetes": kubernetes.Factory,
			"userpass": userpass.Factory,
		},
		DefaultLeaseTTL: 768 * time.Hour,
		MaxLeaseTTL:     768 * time.Hour,
	}
	if *node != "" {
		config.StorageType = "raft"
		config.HAPhysical = store.(physical.HABackend)
		config.RedirectAddr = scheme + "://" + *listen
		config.ClusterAddr = "https://" + *cluster
	}
	core, err := vault.NewCore(config)
	fatal(err)
	if *node != "" {
		fatal(joinable(core, *cluster))
	}
	listener, err := net.Listen("tcp", *listen)
	fatal(err)
	if *root != "" {
		fatal(start(core, *root))
	}

	// A certificate login needs the server to ask for one, as Vault's own listener does.
	ask := &tls.Config{ClientAuth: tls.RequestClientCert}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core})
	if *redirect {
		handler = redirecting(handler)
	}
	server := &http.Server{TLSConfig: ask, Handler: handler}
	go func() {
		if *certFile != "" {
			fatal(server.ServeTLS(listener, *certFile, *keyFile))
		}
		fatal(server.Serve(listener))
	}()
	fmt.Printf("ready %s://%s\n", scheme, listener.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	os.Exit(0)
}
