package calculator

import (
	"encoding/json"
	"errors"
	"time"

	"nova-host/nova/http"
)

// What a manifest grants: HTTP.

func fetch(args struct {
	Verb, URL string
	Headers     *[][2]string
	Body        *string
	Timeout     *float64
}) (any, error) {
	request := http.Request{Method: args.Verb, URL: args.URL}
	if args.Headers != nil {
		for _, header := range *args.Headers {
			request.Headers = append(request.Headers, http.Header{Name: header[0], Value: header[1]})
		}
	}
	if args.Body != nil {
		request.Body = []byte(*args.Body)
	}
	if args.Timeout != nil {
		request.Timeout = seconds(*args.Timeout)
	}
	answer, err := request.Send()
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, header := range answer.Headers {
		names = append(names, header.Name)
	}
	text, err := answer.Text()
	found := map[string]any{"status": answer.Status, "names": names, "text": text}
	for name, header := range map[string]string{"type": "Content-Type", "none": "x-none"} {
		found[name] = nil
		if value, ok := answer.Header(header); ok {
			found[name] = value
		}
	}
	return found, err
}

func fetchJSON(args struct {
	URL  string
	Body *string
}) (any, error) {
	get := func() (*http.Response, error) { return http.Get(args.URL) }
	if args.Body != nil {
		get = func() (*http.Response, error) { return http.Post(args.URL, []byte(*args.Body)) }
	}
	answer, err := get()
	if err != nil {
		return nil, err
	}
	var value json.RawMessage
	if err := answer.JSON(&value); err != nil {
		return nil, err
	}
	return []any{answer.Status, value}, nil
}

func fetchKindly(args struct{ URL string }) (any, error) {
	answer, err := http.Request{URL: args.URL, Timeout: time.Second}.Send()
	var problem *http.Error
	if errors.As(err, &problem) && problem.Kind <= http.Unavailable {
		return []string{problem.Class, problem.Message}, nil
	}
	if err != nil {
		return nil, err
	}
	return answer.Status, nil
}
