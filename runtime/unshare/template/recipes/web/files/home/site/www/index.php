<?php
// La page d'accueil d'un site neuf : remplacez-la. / The welcome page of a new site: replace it.
$fr = str_starts_with(strtolower($_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? 'fr'), 'fr');
if (isset($_GET['lang'])) {
	$fr = $_GET['lang'] !== 'en';
}
$t = fn(string $french, string $english): string => $fr ? $french : $english;
$e = fn(string $text): string => htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
$host = preg_replace('/:\d+$/', '', $_SERVER['HTTP_HOST'] ?? gethostname());
header('Cache-Control: no-store');
?>
<!doctype html>
<html lang="<?= $t('fr', 'en') ?>">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title><?= $e($host) ?></title>
<style>
:root { color-scheme: light dark; --ink: #1d2433; --soft: #566078; --page: #f6f7fb; --card: #fff; --line: #dfe3ec; --mark: #1a6b4f }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf2; --soft: #a4adc2; --page: #12151d; --card: #1b202b; --line: #2e3545; --mark: #6fd3ab } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif }
main { width: min(38rem, 100%); padding: clamp(1.5rem, 5vw, 3rem); background: var(--card); border: 1px solid var(--line); border-radius: 1rem }
svg { width: 5.5rem; color: var(--mark) }
h1 { margin: .75rem 0 .25rem; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere }
.lead { margin: 0 0 1.5rem; color: var(--soft) }
ol { margin: 0 0 1.5rem; padding-left: 1.4rem }
li { margin: .5rem 0 }
code { padding: .1em .35em; border: 1px solid var(--line); border-radius: .35em; font-size: .92em; overflow-wrap: anywhere }
footer { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem }
footer a { margin-left: auto; color: inherit }
</style>
<main>
	<svg viewBox="0 0 88 36" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round" aria-hidden="true">
		<path d="M4 30h80M4 18h80M16 30a12 12 0 0 1 24 0M48 30a12 12 0 0 1 24 0M12 18v-8M44 18v-8M76 18v-8"/>
	</svg>
	<h1><?= $e($host) ?></h1>
	<p class="lead"><?= $t('Votre site est en ligne. Cette page attend la vôtre.', 'Your site is online. This page is waiting for yours.') ?></p>
	<ol>
<?php if ($fr): ?>
		<li>Connectez-vous en SFTP (FileZilla, WinSCP, <code>sftp</code>) : la page de votre site donne l’adresse.</li>
		<li>Déposez vos fichiers dans <code>www</code>.</li>
		<li>Remplacez <code>index.php</code> : le changement est visible tout de suite.</li>
<?php else: ?>
		<li>Connect by SFTP (FileZilla, WinSCP, <code>sftp</code>): your site’s page shows the address.</li>
		<li>Put your files into <code>www</code>.</li>
		<li>Replace <code>index.php</code>: the change shows at once.</li>
<?php endif ?>
	</ol>
	<footer>
		<span>PHP <?= $e(PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION) ?> <?= $t('fonctionne', 'works') ?></span>
		<span><?= $t('Erreurs :', 'Errors:') ?> <code>logs/php.log</code></span>
		<a href="?lang=<?= $t('en', 'fr') ?>" lang="<?= $t('en', 'fr') ?>"><?= $t('English', 'Français') ?></a>
	</footer>
</main>
</html>
