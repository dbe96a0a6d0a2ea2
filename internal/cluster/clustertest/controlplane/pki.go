package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// lifetime of the certificates: longer than any test or demo stays up.
const lifetime = 90 * 24 * time.Hour

// writePKI makes, in dir, what the parts know each other by: a CA, the API
// server's certificate, the admin's client certificate and the key that signs
// service account tokens.
func writePKI(dir string) error {
	now := time.Now().Add(-time.Minute)
	serial := int64(1)
	write := func(name, typ string, der []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600)
	}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	issue := func(name string, t *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		t.SerialNumber, t.NotBefore, t.NotAfter = big.NewInt(serial), now, now.Add(lifetime)
		t.BasicConstraintsValid = true
		t.KeyUsage |= x509.KeyUsageDigitalSignature
		serial++
		parent, signer := ca, caKey
		if parent == nil {
			parent, signer = t, key
		}
		der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
		if err != nil {
			return nil, nil, err
		}
		kder, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		if err := errors.Join(write(name+".crt", "CERTIFICATE", der), write(name+".key", "EC PRIVATE KEY", kder)); err != nil {
			return nil, nil, err
		}
		c, err := x509.ParseCertificate(der)
		return c, key, err
	}
	var err error
	if ca, caKey, err = issue("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "controlplane-ca"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}); err != nil {
		return err
	}
	if _, _, err = issue("apiserver", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}); err != nil {
		return err
	}
	if _, _, err = issue("admin", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return err
	}
	_, _, err = issue("sa", &x509.Certificate{Subject: pkix.Name{CommonName: "service-accounts"}}) // only its key is used
	return err
}

// contextName names the cluster and the context in the kubeconfig.
const contextName = "controlplane"

// writeKubeconfig writes the admin's kubeconfig, certificates included, to path.
func writeKubeconfig(dir, path, server string) error {
	pem := map[string][]byte{}
	for _, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		pem[name] = b
	}
	c := clientcmdapi.NewConfig()
	c.Clusters[contextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: pem["ca.crt"]}
	c.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: pem["admin.crt"], ClientKeyData: pem["admin.key"]}
	c.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: "admin"}
	c.CurrentContext = contextName
	return clientcmd.WriteToFile(*c, path)
}
