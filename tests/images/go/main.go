// A corner shop: templates, static files, time zones and users, with the standard library alone.
package main

import (
	"html/template"
	"log"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"
)

func main() {
	pages := template.Must(template.ParseGlob("templates/*.html"))
	http.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir("static"))))
	http.HandleFunc("/goods/", func(w http.ResponseWriter, r *http.Request) {
		goods := strings.TrimPrefix(r.URL.Path, "/goods/")
		if err := pages.ExecuteTemplate(w, "goods.html", goods); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("/time/", answer("/time/", func(zone string) (string, error) {
		place, err := time.LoadLocation(zone)
		if err != nil {
			return "", err
		}
		return time.Unix(0, 0).In(place).Format(time.RFC3339), nil
	}))
	http.HandleFunc("/user/", answer("/user/", func(name string) (string, error) {
		found, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return found.Uid, nil
	}))
	http.HandleFunc("/scratch", answer("/scratch", func(string) (string, error) {
		file, err := os.CreateTemp("", "scratch")
		if err != nil {
			return "", err
		}
		defer os.Remove(file.Name())
		return "written", file.Close()
	}))
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// answer makes a handler of a function from the rest of a path to a text.
func answer(prefix string, find func(string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := find(strings.TrimPrefix(r.URL.Path, prefix))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Write([]byte(text))
	}
}
