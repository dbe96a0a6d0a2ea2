// Package pages serves the web pages of a simulated GitHub, on which a visitor
// acts as one of its people: reads, comments, reviews, ticks, pushes, merges.
//
// The addresses are GitHub's, so that an html_url of the API opens here. What
// a visitor does goes through githubsim.Person, that is through the REST API
// with that person's rights, and a refusal is shown in the API's words. Reading
// is not restricted: whoever runs a simulated GitHub may see all of it.
//
// # Safety
//
// There is no password: whoever reaches the pages may act as anybody. So the
// pages make sure that it is a person at a browser and not another web site. A
// POST must come from these very pages (Sec-Fetch-Site, Origin), by an IP
// address, localhost or the server's own name (a foreign name that was made to
// point here is refused), and the cookie is SameSite=Strict.
//
// Bodies, comments and check outputs are data from outside: Markdown is
// rendered without raw HTML, links lead to http and https only, images are
// links, and the Content-Security-Policy allows what this package serves and
// nothing else.
package pages
