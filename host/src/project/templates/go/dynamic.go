// Package handler greets people.
package handler

import "nova-host/nova"

func init() {
	nova.Serve(nova.Endpoint{Version: "1.0", Methods: nova.Methods{"greet": nova.Method(greet)}})
}

func greet(args struct{ Name string }) (string, error) {
	if args.Name == "" {
		return "", nova.Raise("ValueError", "nobody to greet")
	}
	return "hello, " + args.Name, nil
}
