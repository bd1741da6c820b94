<?php
// La page d'accueil d'un site neuf : remplacez-la. / The welcome page of a new site: replace it.

/** La connexion à la base de données du site. / The connection to the site's database. */
function database(): PDO
{
	$socket = getenv('DB_SOCKET');
	$where = getenv('DB_ENGINE') === 'postgresql' ? "pgsql:host=$socket" : "mysql:unix_socket=$socket;charset=utf8mb4";
	return new PDO($where . ';dbname=' . getenv('DB_NAME'), getenv('DB_USER'), getenv('DB_PASSWORD'));
}

$e = fn(string $text): string => htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
$lang = $_GET['lang'] ?? (str_starts_with(strtolower($_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? 'fr'), 'fr') ? 'fr' : 'en');
$words = json_decode(file_get_contents('/usr/share/petitpont/welcome/words.json'), true)[$lang === 'en' ? 'en' : 'fr'];
$words['host'] = $e(preg_replace('/:\d+$/', '', $_SERVER['HTTP_HOST'] ?? gethostname()));
$words['change'] = strtr($words['change'], ['{file}' => 'index.php']);
$words['language'] = 'PHP ' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
$words['log'] = 'logs/php.log';
$words['database'] = '';
if (getenv('DB_ENGINE')) {
	try {
		$engine = getenv('DB_ENGINE') === 'postgresql' ? 'PostgreSQL' : 'MariaDB';
		[$version, $user] = database()->query('SELECT version(), current_user')->fetch(PDO::FETCH_NUM);
		preg_match('/\d+(\.\d+)+/', $version, $number);
		$words['database'] = strtr($words['answers'], ['{engine}' => $engine, '{version}' => $number[0], '{user}' => $e($user)]);
	} catch (PDOException $error) {
		$words['database'] = strtr($words['silent'], ['{error}' => $e($error->getMessage())]);
	}
}

header('Cache-Control: no-store');
foreach ($words as $name => $text) {
	$replace['{' . $name . '}'] = $text;
}
echo strtr(file_get_contents('/usr/share/petitpont/welcome/page.html'), $replace);
