# Fills the environment into every template.
for template in /etc/templates/*.template; do
    page=$(basename "$template" .template)
    envsubst '$SITE_NAME' <"$template" >"/srv/www/$page"
done
