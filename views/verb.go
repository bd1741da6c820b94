package views

// postOf is the address of a verb: waking a site is starting it.
func postOf(verb string) string {
	if verb == "wake" {
		return "start"
	}
	return verb
}

func verbIcon(verb string) string {
	switch verb {
	case "restart":
		return "arrow-clockwise"
	case "stop":
		return "stop-fill"
	case "delete":
		return "trash3"
	}
	return "play-fill"
}
