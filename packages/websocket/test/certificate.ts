/**
 * A self-signed certificate for 127.0.0.1, ::1 and localhost with its key, for the tests of `wss` and nothing else; it
 * runs out in a hundred years. Node cannot make certificates, so this one was made once:
 *
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=localhost
 *   -addext subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost -keyout key.pem -out cert.pem
 */
export const cert = `-----BEGIN CERTIFICATE-----
MIIBrTCCAVSgAwIBAgIUVmhm15tuA1FrnCe3c4M0RnpJ6B8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE5MTQxN1oYDzIxMjYxMDI5
MTkxNDE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARdeLp5a6ROzViYH2kLNIOVAkqmD2NkcH9qaVDwPgdM8HIgkiU88kJ/
H9AncZ+jyNjn7XsqkVdN6qG7mIbZ2Rfxo4GBMH8wHQYDVR0OBBYEFDbCsMft9mhJ
OXgJQNCZ1D6BIp5yMB8GA1UdIwQYMBaAFDbCsMft9mhJOXgJQNCZ1D6BIp5yMA8G
A1UdEwEB/wQFMAMBAf8wLAYDVR0RBCUwI4cEfwAAAYcQAAAAAAAAAAAAAAAAAAAA
AYIJbG9jYWxob3N0MAoGCCqGSM49BAMCA0cAMEQCIF0Aan1WRvjOP7tAJHlZJsv/
PN+5w55Y+JFd1xbmZiABAiBCHG5ehJNPW8PEX6NQ1S8Dr41qazxR2Zg6BEZ2QZy8
uQ==
-----END CERTIFICATE-----
`

export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvHmXtY3sDt+Jd38b
WAUeHfHXe6vCO11/0gPA7btm53uhRANCAARdeLp5a6ROzViYH2kLNIOVAkqmD2Nk
cH9qaVDwPgdM8HIgkiU88kJ/H9AncZ+jyNjn7XsqkVdN6qG7mIbZ2Rfx
-----END PRIVATE KEY-----
`
