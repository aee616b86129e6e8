# Says where the site runs, in a file that only a script serves.
{ echo "site: ${SITE_NAME^^}"; echo "system: $(uname -s)"; } >/srv/www/cgi-bin/about.txt
