package manifest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// credentials are lines of the files and commands that people give passwords to
// programs with. HUNTER is the secret.
var credentials = []string{
	// .pgpass, https://www.postgresql.org/docs/current/libpq-pgpass.html
	"db.example.com:5432:app:alice:HUNTER",
	"*:*:*:*:HUNTER", "db:5432:*:alice:HUNTER:x", `db\:1:5432:app:ali\:ce:HUNTER`, "echo 'db:5432:app:alice:HUNTER' > ~/.pgpass",
	// .netrc
	"machine example.com login alice password HUNTER", "default login anonymous password HUNTER", "login alice password HUNTER",
	// htpasswd, and what crypt(3) writes
	"alice:$apr1$HUNTER$x", "alice:$2y$05$HUNTER", "alice:{SHA}HUNTER", "alice:{SSHA}HUNTER=", "alice:$6$HUNTER$x", "users: alice:$$2y$$05$$HUNTER",
	"$2y$10$HUNTERHUNTERHUNTERHUNTERHUNTERHUNTERHUNTERHUNTERHUNTE", "$argon2id$v=19$m=65536,t=3,p=4$HUNTERHUNTER$HUNTERHUNTER",
	// URLs, .git-credentials
	"https://alice:HUNTER@github.com", "https://alice:HUN/HUNTER@example.com/x", "redis://:HUNTER@cache:6379/0", "amqp://a:@HUNTER@mq", "postgres://app:1/HUNTER@db/app",
	"https://HUNTERHUNTERHUNTERHUNTER@example.com/x.git", "jdbc:oracle:thin:scott/HUNTER@//db:1521/x", "app:HUNTER@tcp(db:3306)/app", "git: alice:HUNTER@example.com/x",
	"https://acme.blob.core.windows.net/x?sv=1&sig=HUNTERHUNTER%3D", "https://discord.com/api/webhooks/1/HUNTER",
	// docker's config.json, headers
	`{"auths": {"registry.example.com": {"auth": "HUNTER"}}}`, `"auth": "HUNTER"`, "Authorization: Basic SFVOVEVSOkhVTlRFUg== HUNTER",
	"add_header Authorization 'Basic HUNTER'", "curl -H 'X-Api-Key: HUNTER' https://example.com", "proxy-authorization: HUNTER",
	// AWS, Azure, connection strings
	"aws_secret_access_key = HUNTER", "AWS_SECRET_ACCESS_KEY=HUNTER", "export AWS_SESSION_TOKEN='HUNTER'",
	"Server=db;User Id=app;Password=HUNTER;Encrypt=True", "Server=db;Uid=app;Pwd=HUNTER;", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=HUNTER;EndpointSuffix=x",
	"Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=HUNTER", "host=db port=5432 user=app password=HUNTER sslmode=require", "host=db password='HUNTER x'",
	`org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="HUNTER";`,
	// keys
	"AGE-SECRET-KEY-1HUNTER", "x AGE-SECRET-KEY-1HUNTER y",
	// flags
	"app --password=HUNTER", "app --password HUNTER", "app -password HUNTER", `["--password", "HUNTER"]`, "app -Dspring.datasource.password=HUNTER", "helm install --set db.password=HUNTER",
	"mysql -uroot -pHUNTER app", "mysqldump -h db -u root -pHUNTER app", "sshpass -p HUNTER ssh x", "sshpass -pHUNTER ssh x", "docker login -u alice -p HUNTER example.com",
	"docker login example.com -p HUNTER -u alice", "oc login -p HUNTER", "mongosh db -u root -p HUNTER", "backup -u alice -p HUNTER", "backup -p HUNTER -u alice", "backup --user=alice -p HUNTER",
	"redis-cli -a HUNTER ping", "ldapsearch -x -D cn=admin -w HUNTER", "curl -u alice:HUNTER https://example.com", "curl --user alice:HUNTER x", "curl -ualice:HUNTER x", "openssl enc -pass pass:HUNTER",
	"echo HUNTER | docker login --password-stdin", "kubectl create secret generic x --from-literal=a=HUNTER", "PGPASSWORD=HUNTER psql", "/password:HUNTER",
	// other languages
	"ALTER ROLE app WITH PASSWORD 'HUNTER';", "CREATE USER 'a'@'%' IDENTIFIED BY 'HUNTER';", "CREATE USER a IDENTIFIED WITH mysql_native_password BY 'HUNTER';",
	"requirepass HUNTER", "user default on >x requirepass HUNTER", "user admin insecure-password HUNTER", "bindpw HUNTER",
	"$config['password'] = 'HUNTER';", "'password' => 'HUNTER',", "define('DB_PASSWORD', 'HUNTER');", "password := \"HUNTER\"", "props.setProperty(\"db.password\", \"HUNTER\");",
	"<password>HUNTER</password>", `<password type="plain">HUNTER</password>`, `<property name="password" value="HUNTER"/>`, `<property value="HUNTER" name="password"/>`,
	`<add key="DbPassword" value="HUNTER"/>`, `<entry key="password">HUNTER</entry>`, "<name>db.password</name><value>HUNTER</value>", `{"name": "DB_PASSWORD", "value": "HUNTER"},`,
	`{"kind":"Secret","apiVersion":"v1","data":{"a":"HUNTER"}}`, `x: {"kind":"Secret","data":{"a":"HUNTER"}}`, `[{"op":"add","path":"/stringData/a","value":"HUNTER"}]`,
	"password: true HUNTER", "password=true&token=HUNTER", "a: ENC[AES256_GCM,data:HUNTER,iv:x]",
	"pass: HUNTER", "smtpPass: HUNTER", "smtp_pw=HUNTER",
}

// inQuotes is a line as YAML of one line.
func inQuotes(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func TestNobodyReadsACredential(t *testing.T) {
	for _, line := range credentials {
		t.Run(line, func(t *testing.T) {
			keptQuiet(t, thing+"note: "+inQuotes(line)+"\n", "HUNTER")
			keptQuiet(t, thing+"args: ["+inQuotes(line)+"]\n", "HUNTER")
			keptQuiet(t, settings("# a file\n"+line+"\nlog: info"), "HUNTER")
			keptQuiet(t, settings("# a file\n  - "+line+"\nlog: info"), "HUNTER")
			keptQuiet(t, settings(unreadable("  "+line)), "HUNTER")
		})
		encoded := func(secret string) string {
			return base64.StdEncoding.EncodeToString([]byte("# a file\n" + strings.ReplaceAll(line, "HUNTER", secret) + "\n"))
		}
		t.Run(line+", encoded", func(t *testing.T) {
			for _, stream := range []string{thing + "note: %s\n", settings("a: %s\nb: x"), settings("x\n%s\ny")} {
				d := compare(t, fmt.Sprintf(stream, encoded("HUNTER")), fmt.Sprintf(stream, encoded("hunte9z")))
				if all := everywhere(t, d); strings.Contains(all, encoded("HUNTER")) || strings.Contains(all, encoded("hunte9z")) || !strings.Contains(all, "(secret, changed)") {
					t.Errorf("told:\n%s", told(d))
				}
			}
		})
	}
}

func TestNobodyReadsACredentialOfSeveralArguments(t *testing.T) {
	for _, fields := range []string{
		"args: [mysql, -u, root, -pHUNTER]", "command: [mysqldump], args: [-uroot, -pHUNTER, app]", "command: [/usr/bin/sshpass, -p, HUNTER, ssh, x]",
		"args: [docker, login, -p, HUNTER, -u, alice]", "command: [docker], args: [login, -p, HUNTER]", "command: [redis-cli], args: [-a, HUNTER]", "args: [curl, -u, 'alice:HUNTER', x]",
		"args: [backup, -u, alice, -p, HUNTER]", "args: [backup, -p, HUNTER, --user=alice]", "args: [machine, x, login, y, password, HUNTER]", "args: [--db.password, HUNTER]",
	} {
		t.Run(fields, func(t *testing.T) {
			keptQuiet(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nspec: {"+fields+"}\n", "HUNTER")
		})
	}
}

func TestNobodyReadsACredentialOfSeveralLines(t *testing.T) {
	for _, text := range []string{
		"machine example.com\n  login alice\n  password HUNTER\nmachine other", "machine example.com\nlogin alice\npassword HUNTER\nmachine other",
		"[credential]\n  password HUNTER\n", "users:\n- alice:$apr1$HUNTER$x", "x509:\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    HUNTER\n",
	} {
		t.Run(text, func(t *testing.T) { keptQuiet(t, settings(text), "HUNTER") })
	}
	for _, name := range []string{"pgpass", ".pgpass", "pgpass.conf", ".netrc", "_netrc", ".htpasswd", ".git-credentials", ".dockerconfigjson", ".dockercfg", "id_rsa", "id_ed25519"} {
		t.Run(name, func(t *testing.T) {
			keptQuiet(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  "+name+": |\n    a\n    HUNTER\n", "HUNTER")
		})
	}
}

func TestNobodyReadsAnEncodedCredentialOfSeveralLines(t *testing.T) {
	file := func(secret string) (encoded []string, stream string) {
		text := base64.StdEncoding.EncodeToString([]byte("# a file of settings with a password that stands at the end of it\npassword=" + secret))
		for len(text) > 64 {
			encoded, text = append(encoded, text[:64]), text[64:]
		}
		encoded = append(encoded, text)
		return encoded, settings("a: |\n  " + strings.Join(encoded, "\n  ") + "\nb: x")
	}
	lines, before := file("HUNTER")
	_, after := file("HUNTES")
	for _, pair := range [][2]string{{before, after}, {after, before}, {before, ""}, {"", before}} {
		if all := everywhere(t, compare(t, pair[0], pair[1])); strings.Contains(all, lines[len(lines)-1]) || !strings.Contains(all, "(secret") {
			t.Errorf("told:\n%s", all)
		}
	}
}

func TestWhatLooksLikeACredentialCanBeRead(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	for _, line := range []string{
		"registry.example.com:5000/token-service:1.7.0VALUE", "token-service:1.7.0-VALUE", "registry.example.com/VALUE/password-reset:v1.2.3", "x:1.2@sha256:" + sha[:59] + "VALUE",
		"oci://registry.example.com:5000/x@sha256:" + sha[:59] + "VALUE", "git@github.com:VALUE/x.git", "ssh://git@github.com/VALUE/x", "https://example.com:8080/VALUE@v2",
		"https://github.com/acme/x?ref=" + sha[:35] + "VALUE", sha[:35] + "VALUE", "mailto:VALUE@example.com", "00:16:3e:5e:6c:00 VALUE", "2001:0:3238:1:63:0:0:1 VALUE",
		"127.0.0.1:5432:5432 VALUE", "docker run -u 1000:1000 -p 8080:80 VALUE", "mkdir -p VALUE", "mkdir -p /var/lib/x && chown -u x VALUE", "ssh -p 2222 VALUE",
		"arn:aws:iam::123456789012:role/VALUE", "--token-file=/var/run/VALUE", "--authorization-mode=VALUE", "--tls-cert-file VALUE", "--enable-token=true --log=VALUE",
		"--password=$(PASSWORD) --log=VALUE", "login with your password, VALUE", "the default password policy is VALUE", "Basic Authentication of VALUE", "machine learning VALUE",
		"secretName: VALUE", "secretName=VALUE", "passwordSecretRef: VALUE", "key: VALUE", "existingSecret: VALUE", "image: nginx:VALUE", "npm:react@VALUE", "12:30:45 VALUE", "kind: SecretVALUE",
		"resources: [secrets, tokens, VALUE]", "name: db-password VALUE", "{name: db-password, key: VALUE}", "Basic " + sha[:35] + "VALUE", "echo $1$2 VALUE", "password: $(VALUE)", "password: ${VALUE}",
		"maxTokens: VALUE", "{\"tokenUrl\": \"VALUE\"}", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo= VALUE", "dns:_tcp:VALUE:x:y",
	} {
		t.Run(line, func(t *testing.T) {
			for _, file := range []string{thing + "note: " + inQuotes(line) + "\n", settings("# a file\n" + line + "\nlog: info")} {
				shown(t, file)
			}
		})
	}
}
